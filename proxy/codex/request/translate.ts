/**
 * A Codex request as LM Studio takes it: an ordered list of passes over the body's outline. Each leaves a request alone that it has nothing to do
 * with; of a long conversation only what has to change is ever parsed, and that once: what became of it is kept by its text.
 */
import { joinSystemMessages } from "../../prompt/system-messages.ts";
import type { Element } from "../../splice/outline.ts";
import type { Rewriting } from "../../splice/rewriting.ts";
import { isRecord, type Json } from "../../unknown-json.ts";
import type { CallTable } from "../calls.ts";
import { refusedFields, takenItemTypes } from "./engine.ts";
import { imageMessage, type TranslatedItem, translateItem } from "./items.ts";
import { Memo } from "./memo.ts";
import { type ToolSources, type TranslatedTools, translateTools } from "./tools.ts";

export interface RequestOptions {
  /** Whether the model takes images; undefined when that is not known. */
  readonly images?: boolean | undefined;
  /** The proxy serves web searches itself, and knows what some of them found. */
  readonly search?: { readonly recall: (id: string) => string | undefined } | undefined;
}

export interface TranslatedRequest {
  /** Names of the passes that changed something, in order. */
  readonly applied: readonly string[];
  /** Tools that were left out, as the client named them. */
  readonly droppedTools: readonly string[];
  readonly calls: CallTable;
}

const toolBytes = 16_777_216;
const itemBytes = 33_554_432;

/** What earlier turns of all conversations were translated to. */
export class RequestMemo {
  readonly tools = new Memo<TranslatedTools>(toolBytes);
  readonly items = new Memo<KnownItem>(itemBytes);
}

interface KnownItem {
  readonly item: TranslatedItem;
  /** What else it was made of. */
  readonly nameOf: TranslatedTools["nameOf"];
  readonly images: boolean | undefined;
}

interface Translation {
  readonly rewriting: Rewriting;
  readonly options: RequestOptions;
  readonly memo: RequestMemo;
  readonly tools: TranslatedTools;
}

/** Returns the names of what was changed; why is told where it is done. */
type Pass = (translation: Translation) => Iterable<string>;

const openBrace = 0x7b;
const quote = 0x22;

/** The order matters in one place: system messages are joined last, when it is known which items remain beside them. */
const passes: readonly Pass[] = [removeRefusedFields, setTools, translateItems, joinSystem];

/** Throws `SyntaxError` when a part that has to be read is not JSON inside. */
export function translateRequest(rewriting: Rewriting, options: RequestOptions, memo: RequestMemo): TranslatedRequest {
  const tools = toolsOf(rewriting, options, memo);
  const translation = { rewriting, options, memo, tools };
  const applied = new Set(passes.flatMap((pass) => [...pass(translation)]));
  return { applied: [...applied], droppedTools: tools.dropped, calls: tools.calls };
}

function joinSystem({ rewriting }: Translation): string[] {
  return joinSystemMessages(rewriting) ? ["join-system-messages"] : [];
}

function removeRefusedFields({ rewriting }: Translation): string[] {
  const { body } = rewriting;
  return refusedFields.flatMap(({ field, when }) => {
    const value = body.find(field);
    if (value === undefined || when?.(value) === false) return [];
    rewriting.set(field, undefined);
    return [`drop-${field.replaceAll("_", "-")}`];
  });
}

/** All that the tools are made of is their key: the list itself, items that bring more, and what is chosen of them. */
function toolsOf({ body }: Rewriting, { search }: RequestOptions, memo: RequestMemo): TranslatedTools {
  const list = body.find("tools");
  const bringing = (body.find("input")?.elements ?? []).filter(({ type }) => bringsTools.has(type));
  const choice = body.find("tool_choice");
  const forced = choice?.first === openBrace ? choice : undefined;
  const searching = search !== undefined;
  const spans = [...(list?.elements === undefined ? [] : [list]), ...bringing, ...(forced ? [forced] : [])];
  if (spans.length === 0) return noTools;
  const key = [
    // A choice is no item, whatever it looks like.
    `${searching} ${forced !== undefined}`,
    ...spans.map(({ start, end }) => body.chunks.slice(start, end).toString("latin1")),
  ].join("\0");
  const known = memo.tools.get(key);
  if (known !== undefined) return known;
  const sources: ToolSources = {
    listed: (list?.elements ?? []).map((element) => body.source(element)),
    brought: bringing.flatMap((element) => toolsIn(body.parse(element))),
    choice: forced && body.parse(forced),
    searching,
  };
  const tools = translateTools(sources);
  memo.tools.put(key, tools, tools.size);
  return tools;
}

const bringsTools: ReadonlySet<string | undefined> = new Set(["additional_tools", "tool_search_output"]);
const noTools = translateTools({ listed: [], brought: [], choice: undefined, searching: false });

function toolsIn(item: unknown): unknown[] {
  return isRecord(item) && Array.isArray(item.tools) ? item.tools : [];
}

function setTools({ rewriting, tools }: Translation): readonly string[] {
  const list = rewriting.body.find("tools");
  if (list?.elements === undefined) {
    if (tools.added.length > 0) rewriting.set("tools", `[${tools.added.join(",")}]`);
  } else if (tools.count === 0 && list.elements.length > 0) {
    rewriting.set("tools", undefined);
  } else {
    for (const [index, text] of tools.changes) rewriting.replace("tools", index, text);
    for (const text of tools.added) rewriting.append("tools", text);
  }
  if (tools.choice !== undefined) rewriting.set("tool_choice", tools.choice ?? undefined);
  return tools.applied;
}

/** Each by itself, so that it is the same in every turn; only images of outputs wait for the last of the outputs that stand together. */
function translateItems(translation: Translation): Set<string> {
  const { rewriting } = translation;
  const elements = rewriting.body.find("input")?.elements ?? [];
  const applied = new Set<string>();
  let images: unknown[] = [];
  for (const [index, element] of elements.entries()) {
    const translated = isTaken(element, translation) ? undefined : itemOf(element, translation);
    let text = translated?.text;
    if (translated !== undefined) {
      applied.add(translated.pass);
      images.push(...translated.images);
    }
    if (images.length > 0 && !isOutput(elements[index + 1])) {
      text = `${text ?? rewriting.body.source(element)},${imageMessage(images)}`;
      images = [];
    }
    if (text !== undefined) rewriting.replace("input", index, text);
  }
  return applied;
}

/** Any item type that ends so is of a call that came before. */
function isOutput(element: Element | undefined): boolean {
  return element?.type?.endsWith("_output") === true;
}

/** Nothing is read of an item of which this is true. */
function isTaken({ first, type, namespaced, images, output }: Element, { options, tools }: Translation): boolean {
  if (first !== openBrace) return true;
  if (!takenItemTypes.has(type)) return false;
  if (type === "function_call") return !namespaced && !tools.renamed;
  if (type === "function_call_output") return output === undefined || output === quote;
  return options.images !== false || images !== true;
}

function itemOf(element: Element, { rewriting, options, memo, tools }: Translation): TranslatedItem {
  const { body } = rewriting;
  const { nameOf } = tools;
  const { images } = options;
  const bytes = body.chunks.slice(element.start, element.end);
  const context = { nameOf, images, recall: options.search?.recall ?? (() => undefined) };
  // What a search found is remembered elsewhere, and forgotten there.
  if (element.type === "web_search_call") return translateItem(JSON.parse(bytes.toString()) as Json, context);
  const key = bytes.toString("latin1");
  const known = memo.items.get(key);
  if (known !== undefined && known.nameOf === nameOf && known.images === images) return known.item;
  const item = translateItem(JSON.parse(bytes.toString()) as Json, context);
  memo.items.put(key, { item, nameOf, images }, item.text.length);
  return item;
}
