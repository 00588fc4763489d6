/**
 * A `tool_choice` that is an object. LM Studio takes only `none`, `auto` and `required` (BT#670, lmstudio-ai/docs#177), so a tool is forced by telling
 * the model of no other one.
 */

import { isRecord } from "../../unknown-json.ts";
import type { CallOrigin } from "../calls.ts";
import { originOf } from "./names.ts";

export interface Choice {
  /** JSON text in its place; `null` removes it. */
  readonly text: string | null;
  /** Flat names that the model may call; undefined is all. */
  readonly allowed: ReadonlySet<string> | undefined;
  /** Types of other tools that it may use. */
  readonly otherTypes: ReadonlySet<unknown>;
}

type NameOf = (origin: CallOrigin) => string;

/** Undefined when there is nothing to change: `choice` is no object, or names a tool that the request does not have, which LM Studio may tell. */
export function choiceOf(choice: unknown, nameOf: NameOf, names: ReadonlySet<string>): Choice | undefined {
  if (!isRecord(choice)) return undefined;
  const { type, tools, mode } = choice;
  if (type === "allowed_tools") {
    const wanted: unknown[] = Array.isArray(tools) ? tools : [];
    return {
      text: JSON.stringify(mode === "required" ? "required" : "auto"),
      allowed: new Set(wanted.flatMap((each) => namesOf(each, nameOf, names))),
      otherTypes: new Set(wanted.map((each) => (isRecord(each) ? each.type : undefined))),
    };
  }
  if (type === "mcp") return { text: '"required"', allowed: new Set(), otherTypes: new Set(["mcp"]) };
  const forced = namesOf(choice, nameOf, names);
  if (forced.length > 0) return { text: '"required"', allowed: new Set(forced), otherTypes: new Set() };
  return type === "function" ? undefined : { text: null, allowed: undefined, otherTypes: new Set() };
}

function namesOf(wanted: unknown, nameOf: NameOf, names: ReadonlySet<string>): string[] {
  if (!isRecord(wanted)) return [];
  const { type, name, namespace } = wanted;
  if ((type === "function" || type === "custom") && typeof name === "string")
    return [nameOf(originOf(type, name, namespace))].filter((flat) => names.has(flat));
  if (type === "tool_search") return [nameOf({ kind: "tool-search" })].filter((flat) => names.has(flat));
  if (typeof type === "string" && type.startsWith("web_search"))
    return [nameOf({ kind: "web-search", settings: { domains: [], results: 0 } })].filter((flat) => names.has(flat));
  return [];
}
