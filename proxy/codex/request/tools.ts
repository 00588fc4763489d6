/** The tools of a request, of every kind and from every place that Codex has for them, as functions. */
import { searchFunction, searchSettings } from "../../search/tool.ts";
import { isRecord, type Json } from "../../unknown-json.ts";
import { type CallOrigin, type CallTable, customArgument } from "../calls.ts";
import { takenToolTypes } from "./engine.ts";
import { assignNames, flatName, isPlain, keyOf, originOf } from "./names.ts";
import { type Choice, choiceOf } from "./tool-choice.ts";

export interface ToolSources {
  /** JSON texts of the elements of `tools`. */
  readonly listed: readonly string[];
  /** What came in `additional_tools` and `tool_search_output` items, in order. */
  readonly brought: readonly unknown[];
  /** `tool_choice` where it is an object. */
  readonly choice: unknown;
  /** The proxy searches the web itself. */
  readonly searching: boolean;
}

export interface TranslatedTools {
  readonly calls: CallTable;
  /** New texts by index in `tools`; empty removes. */
  readonly changes: ReadonlyMap<number, string>;
  readonly added: readonly string[];
  /** How many tools LM Studio is told of. */
  readonly count: number;
  /** JSON text of a new `tool_choice`; `null` removes it, undefined leaves it. */
  readonly choice: string | null | undefined;
  readonly applied: readonly string[];
  readonly dropped: readonly string[];
  /** The name under which a call in the history is told to the model, whether its tool is still there or not. */
  readonly nameOf: (origin: CallOrigin) => string;
  /** A function without a namespace has another name here than its client gave it. */
  readonly renamed: boolean;
  /** Characters that this takes. */
  readonly size: number;
}

/** One tool as the client declared it. */
interface Declared {
  readonly origin: CallOrigin;
  definition: Json;
  /** Of a namespace, told with its first tool. */
  group: string;
  /** The client's own bytes, where they are a whole tool. */
  text: string | undefined;
}

type Place = Declared | { readonly untouched: string; readonly type: unknown };

const openSchema = { type: "object", properties: {} };

/** Throws `SyntaxError` when a tool is not JSON inside. */
export function translateTools({ listed, brought, choice, searching }: ToolSources): TranslatedTools {
  const applied = new Set<string>();
  const dropped: string[] = [];
  const declared = new Map<string, Declared>();

  const declare = (tool: unknown, namespace: string | undefined, group: string, text: string | undefined): Place[] => {
    if (!isRecord(tool)) return text === undefined ? [] : [{ untouched: text, type: undefined }];
    const { type, name } = tool;
    if (type === "namespace" && namespace === undefined && Array.isArray(tool.tools)) {
      applied.add("namespace-tools");
      const inner = typeof name === "string" ? name : "";
      const description = typeof tool.description === "string" ? tool.description.trim() : "";
      return tool.tools.flatMap((each, index) => declare(each, inner, index === 0 ? description : "", undefined));
    }
    const origin = originIn(tool, namespace, searching);
    if (origin === undefined) {
      // Without a name nothing can be called: that is LM Studio's to say, in its own words.
      if (takenToolTypes.has(type) && namespace === undefined)
        return [{ untouched: text ?? JSON.stringify(tool), type }];
      applied.add("drop-foreign-tools");
      dropped.push(toolLabel(tool, namespace));
      return [];
    }
    if (origin.kind !== "function") applied.add(passNames[origin.kind]);
    const known = declared.get(keyOf(origin));
    if (known === undefined) {
      const fresh = { origin, definition: tool, group, text };
      declared.set(keyOf(origin), fresh);
      return [fresh];
    }
    // Told again: the newest word counts, in the first place, so that what stands before it stays.
    applied.add("repeated-tools");
    if (JSON.stringify(known.definition) !== JSON.stringify(tool))
      Object.assign(known, { definition: tool, group: group || known.group, text });
    return [];
  };

  const places = listed.map((text) => declare(JSON.parse(text), undefined, "", text));
  const added = brought.flatMap((tool) => declare(tool, undefined, "", undefined));
  const names = assignNames([...declared.values()].map(({ origin }) => origin));
  const nameOf = namesFrom(names);
  const chosen = choiceOf(choice, nameOf, new Set(names.values()));
  if (chosen !== undefined) applied.add("tool-choice");

  const textOf = (place: Place): string => {
    if (!("origin" in place)) return isAllowed(chosen, undefined, place.type) ? place.untouched : "";
    const name = nameOf(place.origin);
    if (!isAllowed(chosen, name, "function")) return "";
    return functionText(place, name, applied);
  };
  const texts = places.map((place) =>
    place
      .map(textOf)
      .filter((text) => text !== "")
      .join(","),
  );
  const changes = new Map<number, string>();
  for (const [index, text] of texts.entries()) if (text !== listed[index]) changes.set(index, text);
  const addedTexts = added.map(textOf).filter((text) => text !== "");

  const origins = new Map<string, CallOrigin>();
  for (const { origin } of declared.values()) origins.set(nameOf(origin), origin);
  const count = texts.filter((text) => text !== "").length + addedTexts.length;
  const all = [...origins];
  return {
    calls: { origins, plain: all.every(([, origin]) => isPlain(origin)) },
    changes,
    added: addedTexts,
    count,
    // A choice that forces a tool of a type that was left out cannot be kept, and without tools there is nothing to choose.
    choice: count === 0 && (listed.length > 0 || brought.length > 0) ? null : chosen?.text,
    applied: [...applied],
    dropped,
    nameOf,
    renamed: all.some(([name, origin]) => origin.kind === "function" && !origin.namespace && origin.name !== name),
    size: [...changes.values(), ...addedTexts].reduce((sum, text) => sum + text.length, 64 * all.length),
  };
}

/** By itself, because it lives on in what is remembered of items, and the tools must not. */
function namesFrom(names: ReadonlyMap<string, string>): (origin: CallOrigin) => string {
  return (origin) => names.get(keyOf(origin)) ?? flatName(origin);
}

const passNames = { custom: "custom-tools", "tool-search": "tool-search", "web-search": "web-search" } as const;

/** Undefined for what cannot be called, or not from here. */
function originIn(tool: Json, namespace: string | undefined, searching: boolean): CallOrigin | undefined {
  const { type, name } = tool;
  if (type === "function" || type === "custom")
    return typeof name === "string" ? originOf(type, name, namespace) : undefined;
  if (namespace !== undefined || typeof type !== "string") return undefined;
  if (type === "tool_search") return { kind: "tool-search" };
  // `web_search`, `web_search_preview`, `web_search_2025_08_26`: one tool under several dates.
  if (!searching || !type.startsWith("web_search")) return undefined;
  const settings = searchSettings(tool);
  return settings === undefined ? undefined : { kind: "web-search", settings };
}

function isAllowed(chosen: Choice | undefined, name: string | undefined, type: unknown): boolean {
  if (chosen?.allowed === undefined) return true;
  return name === undefined ? chosen.otherTypes.has(type) : chosen.allowed.has(name);
}

function functionText({ origin, definition, group, text }: Declared, name: string, applied: Set<string>): string {
  switch (origin.kind) {
    case "web-search":
      return JSON.stringify(searchFunction(name));
    case "custom":
      return JSON.stringify(customFunction(definition, name, group));
    case "tool-search":
      return JSON.stringify({
        type: "function",
        name,
        description: described("", definition.description ?? "Finds more tools, which can then be called."),
        parameters: objectSchema(definition.parameters) ?? definition.parameters ?? openSchema,
        strict: false,
      });
    case "function": {
      const parameters = objectSchema(definition.parameters);
      if (parameters !== undefined) applied.add("tool-parameters");
      if (origin.namespace === undefined && origin.name !== name) applied.add("tool-names");
      if (text !== undefined && parameters === undefined && origin.name === name) return text;
      // In the client's own list everything else stays as it is; in a namespace it has members that only OpenAI knows.
      if (text !== undefined) return JSON.stringify({ ...definition, name, ...(parameters && { parameters }) });
      const { description, strict } = definition;
      return JSON.stringify({
        type: "function",
        name,
        description: described(group, description),
        parameters: parameters ?? definition.parameters ?? openSchema,
        strict: strict === true,
      });
    }
  }
}

/** A function whose one argument is what the client wants as it is. Local engines cannot hold a model to a grammar here, so it is told instead. */
function customFunction({ description, format }: Json, name: string, group: string) {
  const form = isRecord(format) ? format : {};
  const grammar =
    typeof form.definition === "string"
      ? `It follows this ${typeof form.syntax === "string" ? `${form.syntax} ` : ""}grammar:\n${form.definition.trim()}`
      : "";
  const call = `Here the whole text goes, as it is and without a code fence, into the string argument \`${customArgument}\`.`;
  return {
    type: "function",
    name,
    description: [described(group, description), [call, grammar].filter(Boolean).join(" ")]
      .filter(Boolean)
      .join("\n\n"),
    parameters: {
      type: "object",
      properties: { [customArgument]: { type: "string", description: "The whole text" } },
      required: [customArgument],
      additionalProperties: false,
    },
    strict: false,
  };
}

function described(group: string, description: unknown): string {
  return [group, typeof description === "string" ? description : ""].filter(Boolean).join("\n\n");
}

/**
 * The schema made one of an object; undefined when it is, or when there is none. LM Studio answers 400 "Invalid discriminator value. Expected 'object'",
 * and is reported to do so without `properties` too (elie222/rakazo#851).
 */
function objectSchema(schema: unknown): Json | undefined {
  if (schema === undefined || schema === null) return undefined;
  if (!isRecord(schema)) return openSchema;
  if (schema.type === "object" && isRecord(schema.properties)) return undefined;
  return { ...schema, type: "object", properties: isRecord(schema.properties) ? schema.properties : {} };
}

/** As a header tells it: `image_generation`, `namespace:name` for what a namespace holds. */
function toolLabel({ type, name }: Json, namespace: string | undefined): string {
  const kind = typeof type === "string" ? type : "unknown";
  return [kind, namespace, name].filter((part) => typeof part === "string").join(":");
}
