/**
 * An output item of LM Studio as the client asked for it. Events of a stream and whole answers are both made of items, and both go through here.
 */
import { createHash } from "node:crypto";
import { webSearchCall } from "../../search/items.ts";
import { searchArgument } from "../../search/tool.ts";
import { isRecord, type Json, parsed } from "../../unknown-json.ts";
import type { CallOrigin, CallTable } from "../calls.ts";
import { customInput } from "./custom-input.ts";
import { functionArguments } from "./function-arguments.ts";
import { originOf } from "./names.ts";
import type { NoteRepair } from "./repairs.ts";

/** A call, and the tool that it means; no `origin` for a tool that the client does not have. */
export interface Call {
  readonly item: Json;
  readonly origin: CallOrigin | undefined;
  readonly repaired: boolean;
}

/** Undefined for items that are no call of a function. */
export function callOf(item: Json, calls: CallTable): Call | undefined {
  if (item.type !== "function_call") return undefined;
  // An item with a namespace is in the client's own form already.
  const found = typeof item.name === "string" && item.namespace == null ? originOf(calls, item.name) : undefined;
  return { item, origin: found?.origin, repaired: found?.repaired ?? false };
}

/** Before its arguments came, as `response.output_item.added` has it. `seed` names the call among all answers. */
export function opened({ item, origin }: Call, seed: string, note: NoteRepair = () => {}): Json {
  const whole = withCallId(item, seed, note);
  switch (origin?.kind) {
    case "custom":
      return { ...without(whole, "custom_tool_call", "ctc_"), ...nameOf(origin), input: "" };
    case "tool-search":
      return { ...without(whole, "tool_search_call", "tsc_"), execution: "client", arguments: {} };
    case "web-search":
      return webSearchCall(searchId(seed), queryOf(item.arguments), "in_progress");
    case "function": {
      const name = nameOf(origin);
      return Object.entries(name).every(([key, value]) => whole[key] === value) ? whole : { ...whole, ...name };
    }
    default:
      return whole;
  }
}

/** The very same item when nothing is to be done. */
export function restored(call: Call, seed: string, note: NoteRepair): Json {
  if (call.repaired) note("name");
  const item = opened(call, seed, note);
  const args = call.item.arguments;
  switch (call.origin?.kind) {
    case "custom":
      return { ...item, input: customInput(args, call.origin.name, note) };
    case "tool-search":
      return { ...item, arguments: searchedFor(args, note) };
    case "web-search":
      return item;
    default: {
      const text = functionArguments(args, note);
      return text === args ? item : { ...item, arguments: text };
    }
  }
}

/** Between the rounds of an answer and in later turns a web search goes by this id. */
const searchId = (seed: string): string => `ws_${digest(seed)}`;

/** Only with such a beginning does Codex keep an item's id. */
const renamedId = (id: string, prefix: string): string => id.replace(/^fc_/, prefix);

function queryOf(args: unknown): string {
  const value = typeof args === "string" ? (parsed(args) ?? args) : args;
  const said = isRecord(value) ? (value[searchArgument] ?? Object.values(value)[0]) : value;
  const query = Array.isArray(said) ? said[0] : said;
  return typeof query === "string" ? query.trim() : "";
}

function without(item: Json, type: string, prefix: string): Json {
  const { type: _type, id, name: _name, arguments: _args, ...rest } = item;
  return { type, ...(typeof id === "string" ? { id: renamedId(id, prefix) } : {}), ...rest };
}

function nameOf({ name, namespace }: { readonly name: string; readonly namespace?: string }): Json {
  return namespace === undefined ? { name } : { namespace, name };
}

function withCallId(item: Json, seed: string, note: NoteRepair): Json {
  if (typeof item.call_id === "string" && item.call_id !== "") return item;
  note("call-id");
  return { ...item, call_id: `call_${digest(seed)}` };
}

function searchedFor(args: unknown, note: NoteRepair): Json {
  if (isRecord(args)) return args;
  const value = parsed(functionArguments(args, note));
  return isRecord(value) ? value : {};
}

const digest = (seed: string): string => createHash("sha256").update(seed).digest("hex").slice(0, 32);
