/**
 * One answer, event by event, as the client should have it: an event of LM Studio in, the events to say in its place out. A whole answer is the last
 * event of a stream in which nothing was said before, so that both are translated by the same lines.
 */
import type { Fault } from "../../errors/fault.ts";
import { errorWords, lmStudioFault } from "../../errors/lm-studio.ts";
import { webSearchCall } from "../../search/items.ts";
import type { CallTable } from "../calls.ts";
import { functionArguments } from "./function-arguments.ts";
import { type Json, recordOf, recordsOf } from "./json.ts";
import type { Pieces } from "./pieces.ts";
import type { NoteRepair, RepairKind } from "./repairs.ts";
import { type Call, callOf, opened, renamedId, restored } from "./restore.ts";
import type { Round, SearchCall } from "./rounds.ts";
import { usageOfRounds, validUsage } from "./usage.ts";

export interface AnswerParts {
  readonly calls: CallTable;
  /** For an answer that LM Studio gave no id, and what names its calls. */
  readonly responseId: string;
  /** The id that the client was told before LM Studio said anything: a heartbeat had to begin the answer. */
  readonly toldId: () => string | undefined;
  /** Pieces of the items whose end did not come. */
  readonly pieces: () => Pieces;
}

/** Undefined: the event passes as it came. */
type Said = readonly Json[] | undefined;

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

const silently: NoteRepair = () => {};

/** Stops that are no failure: Codex ends with an error at `response.incomplete`. */
const lengthStops: ReadonlySet<unknown> = new Set([undefined, null, "max_output_tokens", "max_tokens", "length"]);

export class Answer {
  readonly #parts: AnswerParts;
  readonly #repairs = new Map<RepairKind, number>();
  readonly #open = new Map<number, Open>();
  /** Items of this round that are complete, by output index, as the client has them. */
  readonly #done = new Map<number, Json>();
  readonly #ids = new Set<unknown>();
  #id: string | undefined;
  #ended = false;
  #fault: Fault | undefined;
  #searches: Search[] = [];
  #callsClient = false;
  #raw: Json[] = [];
  /** The event that ends an answer which may go on. */
  #held: Json | undefined;
  /** Of earlier rounds. */
  #rounds = 0;
  readonly #earlier: Json[] = [];
  #usage: Json | undefined;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  get fault(): Fault | undefined {
    return this.#fault;
  }

  /** LM Studio has said that the answer is complete, or broken. */
  get ended(): boolean {
    return this.#ended || this.#held !== undefined || this.#fault !== undefined;
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

  /** What is added to output indexes: the items of earlier rounds. */
  get indexShift(): number {
    return this.#earlier.length;
  }

  get repairs(): ReadonlyMap<RepairKind, number> {
    return this.#repairs;
  }

  get round(): Round | undefined {
    if (this.#held === undefined) return undefined;
    return { searches: this.#searches, callsClient: this.#callsClient, output: this.#raw };
  }

  /** Of the events that repeat the whole request, only this is to be known: true when such an event can pass unread. */
  begins(id: string): boolean {
    if (this.#rounds > 0 || this.#parts.toldId() !== undefined) return false;
    this.#id ??= id;
    return this.#id === id;
  }

  event(type: string, event: Json): Said {
    switch (type) {
      case "response.created":
      case "response.queued":
      case "response.in_progress":
        return this.#beginning(type, event);
      case "response.output_item.added":
        return this.#itemAdded(event);
      case "response.function_call_arguments.delta":
        return this.#argumentsDelta(event);
      case "response.function_call_arguments.done":
        return this.#argumentsDone(event);
      case "response.output_item.done":
        return this.#itemDone(event, this.#open.get(this.#indexOf(event)));
      case "response.completed":
      case "response.incomplete":
      case "response.done":
        return this.#completed(type, event);
      case "response.failed":
        return this.#failed(recordOf(event.response));
      case "error":
        return this.#failed(event);
      default:
        return undefined;
    }
  }

  /** What is said when an answer just stops. */
  stopped(): void {
    if (this.ended) return;
    this.#fault = lmStudioFault("its answer ended without saying that it is complete");
  }

  /** The client's answer for LM Studio's; undefined while its end is held. */
  whole(response: Json): Json | undefined {
    if (response.status === "failed") {
      this.#failed(response);
      return response;
    }
    const said = this.#completed("response.completed", { type: "response.completed", response });
    if (this.#held !== undefined) return undefined;
    return said === undefined ? response : recordOf(said.at(-1)?.response);
  }

  /** A search has found something, or not. */
  settle(id: string, status: "completed" | "failed"): readonly Json[] {
    const search = this.#searches.find((one) => one.id === id);
    if (search === undefined || this.#done.has(search.index)) return [];
    return [this.#shown(search.index, { ...webSearchCall(id, search.query, status) })];
  }

  /** LM Studio begins anew; for the client it goes on. */
  nextRound(): readonly Json[] {
    const said = this.#settleAll();
    this.#usage = this.#summed(recordOf(this.#held?.response));
    this.#earlier.push(...this.#doneItems());
    this.#rounds += 1;
    this.#open.clear();
    this.#done.clear();
    this.#ids.clear();
    this.#searches = [];
    this.#callsClient = false;
    this.#raw = [];
    this.#held = undefined;
    return said;
  }

  /** The answer ends with this round; the last event is its end. */
  finish(): readonly Json[] {
    const held = this.#held;
    if (held === undefined) return [];
    const said = this.#settleAll();
    this.#held = undefined;
    this.#ended = true;
    return [...said, this.#ending(held)];
  }

  #settleAll(): Json[] {
    return this.#searches.flatMap(({ id }) => this.settle(id, "failed"));
  }

  #beginning(type: string, event: Json): Said {
    // What has begun does not begin again.
    if (this.#rounds > 0) return [];
    const response = recordOf(event.response);
    this.#begin(response);
    if (this.#parts.toldId() !== undefined && type === "response.created") return [];
    return response.id === this.#id ? undefined : [{ ...event, type, response: { ...response, id: this.#id } }];
  }

  /** The answer's id stays. A client that was told one may refuse another (the openai package does). */
  #begin({ id }: Json): void {
    const own = typeof id === "string" && id !== "" ? id : this.#parts.responseId;
    this.#id ??= this.#parts.toldId() ?? own;
  }

  #itemAdded(event: Json): Said {
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

  #argumentsDelta(event: Json): Said {
    const open = this.#open.get(this.#indexOf(event));
    if (open === undefined || !keepsArguments(open)) return undefined;
    if (typeof event.delta === "string") open.args += event.delta;
    return [];
  }

  #argumentsDone(event: Json): Said {
    const index = this.#indexOf(event);
    const open = this.#open.get(index);
    if (open?.call === undefined) return undefined;
    const { call } = open;
    const args = event.arguments ?? open.args;
    if (typeof args === "string") open.args = args;
    const withArguments = { ...call, item: { ...call.item, arguments: args } };
    const kind = call.origin?.kind;
    if (kind === "web-search") {
      if (open.shown) return [];
      open.shown = true;
      return [this.#added(index, withArguments)];
    }
    if (!open.shown || kind === "tool-search") return [];
    if (kind === "custom") {
      open.inputTold = true;
      return this.#inputEvents(index, restored(withArguments, this.#seed(index), silently));
    }
    const text = functionArguments(args, silently);
    const name = call.origin !== undefined && event.name !== undefined ? { name: call.origin.name } : {};
    if (text === event.arguments && (name.name ?? event.name) === event.name) return undefined;
    return [this.#placed(event, index, { ...name, arguments: text })];
  }

  /** `open` is what is known of the item's beginning. */
  #itemDone(event: Json, open: Open | undefined): Said {
    const index = this.#indexOf(event);
    const item = completed(recordOf(event.item), open);
    const call = callOf(item, this.#parts.calls);
    this.#open.delete(index);
    this.#ids.add(item.id);
    if (call !== undefined && isSearch(call)) return this.#search(index, call, open);
    this.#raw.push(item);
    if (call === undefined) {
      this.#done.set(index, item);
      return undefined;
    }
    this.#callsClient = true;
    const whole = restored(call, this.#seed(index), this.#note);
    const said: Json[] = [];
    if (open?.shown === false) said.push(this.#added(index, call));
    if (whole.type === "custom_tool_call" && open?.inputTold !== true) said.push(...this.#inputEvents(index, whole));
    if (said.length === 0 && whole === event.item) {
      this.#done.set(index, whole);
      return undefined;
    }
    return [...said, this.#shown(index, whole, event)];
  }

  #search(index: number, call: Call, open: Open | undefined): Said {
    const { id, action } = opened(call, this.#seed(index)) as ReturnType<typeof webSearchCall>;
    this.#searches.push({ id, query: action.query, index });
    return open?.shown === true ? [] : [this.#added(index, call)];
  }

  #completed(type: string, event: Json): Said {
    if (this.#ended) return [];
    const response = recordOf(event.response);
    this.#begin(response);
    const reason = recordOf(response.incomplete_details).reason;
    const kind = type === "response.incomplete" && !lengthStops.has(reason) ? type : "response.completed";
    const said = this.#missing(recordsOf(response.output));
    const end = kind === event.type ? event : { ...event, type: kind };
    if (this.#searches.length > 0) {
      this.#held = end;
      return said;
    }
    this.#ended = true;
    const ending = this.#ending(end);
    return said.length === 0 && ending === event ? undefined : [...said, ending];
  }

  /** Items whose end did not come although the answer is complete. Codex looks nowhere else for them. */
  #missing(output: readonly Json[]): Json[] {
    const pieces = this.#parts.pieces();
    const seen = new Set([...this.#done.keys(), ...this.#open.keys(), ...pieces.indexes]);
    for (const { index } of this.#searches) seen.add(index);
    // More than was said: what stands where nothing was said is missing altogether.
    const unsaid = output.length > seen.size ? [...output.keys()].filter((index) => !seen.has(index)) : [];
    const said: Json[] = [];
    for (const index of [...seen, ...unsaid].sort((a, b) => a - b)) {
      if (this.#done.has(index) || this.#searches.some((search) => search.index === index)) continue;
      const open = this.#open.get(index);
      const there = output.find(({ id }) => id !== undefined && id === open?.item.id) ?? output[index];
      if (open === undefined && !pieces.indexes.includes(index)) {
        if (there !== undefined && (there.id === undefined || !this.#ids.has(there.id)))
          said.push(...this.#unsaid(index, there));
        continue;
      }
      const fits = there !== undefined && (open === undefined || there.type === open.item.type);
      const item = fits ? there : pieces.complete(index, open?.item ?? {}, `msg_${this.#parts.responseId}_${index}`);
      const done = { type: "response.output_item.done", output_index: index, item };
      said.push(...(this.#itemDone(done, open) ?? [this.#placed(done, index, {})]));
    }
    return said;
  }

  /** Everything about an item of which nothing was said. */
  #unsaid(index: number, item: Json): Json[] {
    const done = { type: "response.output_item.done", output_index: index, item };
    if (item.type === "function_call")
      return [...(this.#itemDone(done, { item, call: undefined, args: "", shown: false, inputTold: false }) ?? [])];
    const place = { item_id: item.id, output_index: index + this.indexShift };
    const parts = item.type === "message" ? recordsOf(item.content) : [];
    const said: Json[] = [];
    said.push(
      this.#placed({ type: "response.output_item.added" }, index, { item: { ...item, ...begun(item, parts) } }),
    );
    for (const [content_index, part] of parts.entries()) {
      const at = { ...place, content_index };
      said.push({
        type: "response.content_part.added",
        ...at,
        part: { ...part, ...(part.text === undefined ? {} : { text: "" }) },
      });
      if (part.type === "output_text" && typeof part.text === "string" && part.text !== "") {
        said.push({ type: "response.output_text.delta", ...at, delta: part.text, logprobs: [] });
        said.push({ type: "response.output_text.done", ...at, text: part.text, logprobs: [] });
      }
      said.push({ type: "response.content_part.done", ...at, part });
    }
    this.#itemDone(done, undefined);
    return [...said, this.#placed(done, index, {})];
  }

  /** The answer's last event; the very same when nothing is to be done. */
  #ending(event: Json): Json {
    const response = recordOf(event.response);
    const output = this.#finalOutput(response.output);
    const usage = this.#summed(response);
    const same = output === response.output && response.id === this.#id && (usage ?? null) === (response.usage ?? null);
    if (same) return event;
    const { usage: _, ...rest } = response;
    return { ...event, response: { ...rest, id: this.#id, output, ...(usage === undefined ? {} : { usage }) } };
  }

  #finalOutput(output: unknown): unknown {
    const items = recordsOf(output);
    if (items.length === 0) {
      const said = [...this.#earlier, ...this.#doneItems()];
      return said.length === 0 && Array.isArray(output) ? output : said;
    }
    const whole = items.map((item, index) => {
      const call = callOf(item, this.#parts.calls);
      if (call === undefined) return item;
      const told = restored(call, this.#seed(index), silently);
      // A search has been settled meanwhile.
      return isSearch(call) ? ([...this.#done.values()].find(({ id }) => id === told.id) ?? told) : told;
    });
    const same = this.#rounds === 0 && whole.every((item, index) => item === items[index]);
    return same ? output : [...this.#earlier, ...whole];
  }

  #summed({ usage }: Json): Json | undefined {
    return usageOfRounds(this.#usage, validUsage(usage));
  }

  #failed(said: Json): Said {
    this.#fault = lmStudioFault(errorWords(said) ?? "it gave no reason");
    return [];
  }

  #doneItems(): Json[] {
    return [...this.#done].sort(([a], [b]) => a - b).map(([, item]) => item);
  }

  #added(index: number, call: Call): Json {
    const item = opened(call, this.#seed(index));
    const status = call.origin?.kind === "web-search" ? {} : { status: "in_progress" };
    const args = item.type === "function_call" ? { arguments: "" } : {};
    return this.#placed({ type: "response.output_item.added" }, index, { item: { ...item, ...args, ...status } });
  }

  /** LM Studio gives arguments at once; a custom tool's text is told as the events have it that clients know. */
  #inputEvents(index: number, { id, input }: Json): Json[] {
    const place = { item_id: id, output_index: index + this.indexShift };
    const delta = { type: "response.custom_tool_call_input.delta", ...place, delta: input };
    const done = { type: "response.custom_tool_call_input.done", ...place, input };
    return input === "" ? [done] : [delta, done];
  }

  #shown(index: number, item: Json, event: Json = { type: "response.output_item.done" }): Json {
    this.#done.set(index, item);
    return this.#placed(event, index, { item });
  }

  #placed(event: Json, index: number, more: Json): Json {
    const id = event.item_id;
    const item = typeof id === "string" && "item" in more ? { item_id: renamedId(id, "fc_") } : {};
    return { ...event, output_index: index + this.indexShift, ...item, ...more };
  }

  /** By its place; an event without one is about the item with that id, or about the next one. */
  #indexOf({ output_index, item_id, item }: Json): number {
    if (typeof output_index === "number") return output_index;
    const id = item_id ?? recordOf(item).id;
    for (const [index, open] of this.#open) if (id !== undefined && open.item.id === id) return index;
    return this.#done.size + this.#open.size + this.#searches.length;
  }

  #seed(index: number): string {
    return `${this.#parts.responseId}/${index + this.indexShift}`;
  }

  readonly #note: NoteRepair = (kind) => {
    this.#repairs.set(kind, (this.#repairs.get(kind) ?? 0) + 1);
  };
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

/** The item as its first event has it. */
const begun = (item: Json, parts: readonly Json[]): Json => ({
  ...("status" in item ? { status: "in_progress" } : {}),
  ...(parts.length > 0 ? { content: [] } : {}),
});
