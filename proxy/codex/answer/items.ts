/** The output items of one round of an answer, from their first events to their last, as the client should have them. */
import { webSearchCall } from "../../search/items.ts";
import { type Json, recordOf, recordsOf } from "../../unknown-json.ts";
import type { CallTable } from "../calls.ts";
import { functionArguments } from "./function-arguments.ts";
import type { Pieces } from "./pieces.ts";
import type { NoteRepair } from "./repairs.ts";
import { type Call, callOf, opened, restored } from "./restore.ts";
import type { SearchCall } from "./rounds.ts";

/** What to say in an event's place; undefined: the event passes as it came. */
export type Said = readonly Json[] | undefined;

export interface ItemsParts {
  readonly calls: CallTable;
  /** Names the calls of this answer among those of all answers. */
  readonly seed: string;
  /** Items of earlier rounds. */
  readonly shift: number;
  readonly note: NoteRepair;
}

/** An item of which the beginning came, and not the end. */
interface Open {
  readonly item: Json;
  readonly call: Call | undefined;
  /** Arguments that are kept from the client, as far as they came. */
  args: string;
  /** The client has seen its beginning. */
  shown: boolean;
  /** The client has a custom tool's text. */
  inputTold: boolean;
}

interface Search extends SearchCall {
  readonly index: number;
}

const added: Json = { type: "response.output_item.added" };
const done: Json = { type: "response.output_item.done" };
const silently: NoteRepair = () => {};

export class Items {
  readonly #parts: ItemsParts;
  readonly #open = new Map<number, Open>();
  /** By output index, as the client has them. */
  readonly #done = new Map<number, Json>();
  /** Ids that LM Studio gave to what is done. */
  readonly #ids = new Set<unknown>();
  readonly #searches: Search[] = [];
  /** As LM Studio put them out, without the calls of searches. */
  readonly raw: Json[] = [];
  /** Tools of the client were called. */
  callsClient = false;

  constructor(parts: ItemsParts) {
    this.#parts = parts;
  }

  get shift(): number {
    return this.#parts.shift;
  }

  /** The end of some item is still to come. */
  get isOpen(): boolean {
    return this.#open.size > 0;
  }

  /** Pieces of arguments have to be read: they are kept from the client. */
  get keepsArguments(): boolean {
    for (const open of this.#open.values()) if (keepsArguments(open)) return true;
    return false;
  }

  get searches(): readonly SearchCall[] {
    return this.#searches;
  }

  get done(): Json[] {
    return [...this.#done].sort(([a], [b]) => a - b).map(([, item]) => item);
  }

  added(event: Json): Said {
    const index = this.#indexOf(event);
    const item = recordOf(event.item);
    const call = callOf(item, this.#parts.calls);
    // Nameless, it is shown when its name is known; a search when its words are.
    const shown = call === undefined || (item.name !== undefined && item.name !== "" && !isSearch(call));
    this.#open.set(index, { item, call, args: "", shown, inputTold: false });
    if (call === undefined) return undefined;
    if (!shown) return [];
    const begun = opened(call, this.#seed(index));
    return begun === item ? undefined : [this.#placed(event, index, { item: begun })];
  }

  argumentsDelta(event: Json): Said {
    const open = this.#open.get(this.#indexOf(event));
    if (open === undefined || !keepsArguments(open)) return undefined;
    if (typeof event.delta === "string") open.args += event.delta;
    return [];
  }

  argumentsDone(event: Json): Said {
    const index = this.#indexOf(event);
    const open = this.#open.get(index);
    if (open?.call === undefined) return undefined;
    const { call } = open;
    const args = event.arguments ?? open.args;
    if (typeof args === "string") open.args = args;
    const whole = { ...call, item: { ...call.item, arguments: args } };
    const kind = call.origin?.kind;
    if (kind === "web-search" && !open.shown) {
      open.shown = true;
      return [this.#begun(index, whole)];
    }
    if (!open.shown || kind === "tool-search" || kind === "web-search") return [];
    if (kind === "custom") {
      open.inputTold = true;
      return this.#input(index, restored(whole, this.#seed(index), silently));
    }
    const text = functionArguments(args, silently);
    const name = call.origin !== undefined && event.name !== undefined ? call.origin.name : event.name;
    if (text === event.arguments && name === event.name) return undefined;
    return [this.#placed(event, index, { ...(name === undefined ? {} : { name }), arguments: text })];
  }

  ended(event: Json): Said {
    return this.#end(event, this.#open.get(this.#indexOf(event)));
  }

  /** Items whose end did not come although the answer is complete. Codex looks nowhere else for them. */
  missing(output: readonly Json[], pieces: Pieces): Json[] {
    const begun = new Set([...this.#open.keys(), ...pieces.indexes]);
    const settled = new Set([...this.#done.keys(), ...this.#searches.map(({ index }) => index)]);
    const seen = new Set([...begun, ...settled]);
    // More than was said: what stands where nothing was said is missing altogether.
    const unsaid = output.length > seen.size ? [...output.keys()].filter((index) => !seen.has(index)) : [];
    const said: Json[] = [];
    for (const index of [...begun, ...unsaid].sort((a, b) => a - b)) {
      if (settled.has(index)) continue;
      const open = this.#open.get(index);
      const there = output.find(({ id }) => id !== undefined && id === open?.item.id) ?? output[index];
      if (!begun.has(index)) {
        if (there !== undefined && !(there.id !== undefined && this.#ids.has(there.id)))
          said.push(...this.#unsaid(index, there));
        continue;
      }
      const fits = there !== undefined && (open === undefined || there.type === open.item.type);
      const item = fits ? there : pieces.complete(index, open?.item ?? {}, `msg_${this.#seed(index)}`);
      const event = { ...done, output_index: index, item };
      said.push(...(this.#end(event, open) ?? [this.#placed(event, index, {})]));
    }
    return said;
  }

  /** An item of the answer's end; what was told of a search stays as it was told. */
  final(item: Json, index: number): Json {
    const call = callOf(item, this.#parts.calls);
    if (call === undefined) return item;
    const told = restored(call, this.#seed(index), silently);
    return isSearch(call) ? (this.done.find(({ id }) => id === told.id) ?? told) : told;
  }

  /** A search has found something, or not. */
  settle(id: string, status: "completed" | "failed"): Json[] {
    const search = this.#searches.find((one) => one.id === id);
    if (search === undefined || this.#done.has(search.index)) return [];
    return [this.#finished(done, search.index, { ...webSearchCall(id, search.query, status) })];
  }

  /** `open` is what is known of the item's beginning. */
  #end(event: Json, open: Open | undefined): Said {
    const index = this.#indexOf(event);
    const item = completed(recordOf(event.item), open);
    const call = callOf(item, this.#parts.calls);
    this.#open.delete(index);
    this.#ids.add(item.id);
    if (call !== undefined && isSearch(call)) {
      const { id, action } = opened(call, this.#seed(index)) as ReturnType<typeof webSearchCall>;
      this.#searches.push({ id, query: action.query, index });
      return open?.shown === true ? [] : [this.#begun(index, call)];
    }
    this.raw.push(item);
    if (call === undefined) {
      this.#done.set(index, item);
      return undefined;
    }
    this.callsClient = true;
    const whole = restored(call, this.#seed(index), this.#parts.note);
    const said: Json[] = [];
    if (open?.shown === false) said.push(this.#begun(index, call));
    if (whole.type === "custom_tool_call" && open?.inputTold !== true) said.push(...this.#input(index, whole));
    const finished = this.#finished(event, index, whole);
    return said.length === 0 && whole === event.item ? undefined : [...said, finished];
  }

  /** Everything about an item of which nothing was said. */
  #unsaid(index: number, item: Json): Json[] {
    const event = { ...done, output_index: index, item };
    if (item.type === "function_call")
      return [...(this.#end(event, { item, call: undefined, args: "", shown: false, inputTold: false }) ?? [])];
    const parts = item.type === "message" ? recordsOf(item.content) : [];
    const said = [this.#placed(added, index, { item: { ...item, ...beginning(item, parts) } })];
    for (const [content_index, part] of parts.entries()) {
      const place = { item_id: item.id, output_index: index + this.shift, content_index };
      const { text } = part;
      const empty = text === undefined ? part : { ...part, text: "" };
      said.push({ type: "response.content_part.added", ...place, part: empty });
      if (part.type === "output_text" && typeof text === "string" && text !== "") {
        said.push({ type: "response.output_text.delta", ...place, delta: text, logprobs: [] });
        said.push({ type: "response.output_text.done", ...place, text, logprobs: [] });
      }
      said.push({ type: "response.content_part.done", ...place, part });
    }
    this.#end(event, undefined);
    return [...said, this.#placed(event, index, {})];
  }

  #begun(index: number, call: Call): Json {
    const item = opened(call, this.#seed(index));
    const args = item.type === "function_call" ? { arguments: "" } : {};
    return this.#placed(added, index, { item: { ...item, ...args, status: "in_progress" } });
  }

  /** LM Studio gives arguments at once; a custom tool's text is told in the events that clients know. */
  #input(index: number, { id, input }: Json): Json[] {
    const place = { item_id: id, output_index: index + this.shift };
    const whole = { type: "response.custom_tool_call_input.done", ...place, input };
    if (input === "") return [whole];
    return [{ type: "response.custom_tool_call_input.delta", ...place, delta: input }, whole];
  }

  #finished(event: Json, index: number, item: Json): Json {
    this.#done.set(index, item);
    return this.#placed(event, index, { item });
  }

  #placed(event: Json, index: number, more: Json): Json {
    return { ...event, output_index: index + this.shift, ...more };
  }

  /** By its place; an event without one is about the item with that id, or about the next one. */
  #indexOf({ output_index, item_id, item }: Json): number {
    if (typeof output_index === "number") return output_index;
    const id = item_id ?? recordOf(item).id;
    for (const [index, open] of this.#open) if (id !== undefined && open.item.id === id) return index;
    return this.#done.size + this.#open.size + this.#searches.length;
  }

  #seed(index: number): string {
    return `${this.#parts.seed}_${index + this.shift}`;
  }
}

const isSearch = ({ origin }: Call): boolean => origin?.kind === "web-search";

/** Arguments of a plain function pass as they come. */
const keepsArguments = ({ call, shown }: Open): boolean =>
  call !== undefined && (!shown || (call.origin !== undefined && call.origin.kind !== "function"));

/** What the item's own end leaves out was said before. */
function completed(item: Json, open: Open | undefined): Json {
  if (item.type !== "function_call" || open === undefined) return item;
  const name = item.name === undefined || item.name === "" ? { name: open.item.name } : {};
  const args = (item.arguments ?? "") === "" && open.args !== "" ? { arguments: open.args } : {};
  return "name" in name || "arguments" in args ? { ...item, ...name, ...args } : item;
}

/** What the item's first event has instead. */
const beginning = (item: Json, parts: readonly Json[]): Json => ({
  ...("status" in item ? { status: "in_progress" } : {}),
  ...(parts.length > 0 ? { content: [] } : {}),
});
