/**
 * One answer, event by event, as the client should have it: an event of LM Studio in, the events to say in its place out. A whole answer is the last
 * event of a stream in which nothing was said before, so that both are translated by the same lines.
 */
import type { Fault } from "../../errors/fault.ts";
import { errorWords, lmStudioFault } from "../../errors/lm-studio.ts";
import { type Json, recordOf, recordsOf } from "../../unknown-json.ts";
import type { CallTable } from "../calls.ts";
import { Items, type Said } from "./items.ts";
import type { Pieces } from "./pieces.ts";
import type { RepairKind } from "./repairs.ts";
import type { Round } from "./rounds.ts";
import { usageOfRounds, validUsage } from "./usage.ts";

export interface AnswerParts {
  readonly calls: CallTable;
  /** For an answer that LM Studio gave no id, and what names its calls. */
  readonly responseId: string;
  /** The id that the client was told before LM Studio said anything: a heartbeat had to begin the answer. */
  readonly toldId: () => string | undefined;
  /** Tokens that the model has room for, where it is known. */
  readonly contextLength?: number | undefined;
  /** Pieces of the items whose end did not come. */
  readonly pieces: () => Pieces;
}

/** Stops that are no failure: Codex ends with an error at `response.incomplete`. */
const lengthStops: ReadonlySet<unknown> = new Set([undefined, null, "max_output_tokens", "max_tokens", "length"]);

export class Answer {
  readonly #parts: AnswerParts;
  readonly #repairs = new Map<RepairKind, number>();
  /** Of this round. */
  #items: Items;
  /** The id for the client, and LM Studio's own. */
  #id: string | undefined;
  #ownId: string | undefined;
  #ended = false;
  #fault: Fault | undefined;
  /** The event that ends an answer which may go on. */
  #held: Json | undefined;
  #rounds = 0;
  /** Of the rounds before this one. */
  readonly #earlier: Json[] = [];
  #usage: Json | undefined;

  constructor(parts: AnswerParts) {
    this.#parts = parts;
    this.#items = this.#nextItems();
  }

  get fault(): Fault | undefined {
    return this.#fault;
  }

  /** LM Studio has said that the answer is complete, or broken. */
  get ended(): boolean {
    return this.#ended || this.#held !== undefined || this.#fault !== undefined;
  }

  /** The id that the client was told, and the one by which LM Studio knows the answer in the end. */
  get names(): { readonly told: string; readonly own: string } | undefined {
    const [told, own] = [this.#id, this.#ownId];
    return told === undefined || own === undefined || told === own ? undefined : { told, own };
  }

  get items(): Items {
    return this.#items;
  }

  get repairs(): ReadonlyMap<RepairKind, number> {
    return this.#repairs;
  }

  get round(): Round | undefined {
    if (this.#held === undefined) return undefined;
    const { searches, callsClient, raw } = this.#items;
    return { searches, callsClient, output: raw };
  }

  /** Of the events that repeat the whole request, only this is to be known: true when such an event can pass unread. */
  begins(id: string): boolean {
    if (this.#rounds > 0 || this.#parts.toldId() !== undefined) return false;
    this.#begin({ id });
    return this.#id === id;
  }

  event(type: string, event: Json): Said {
    switch (type) {
      case "response.created":
      case "response.queued":
      case "response.in_progress":
        return this.#beginning(type, event);
      case "response.output_item.added":
        return this.#items.added(event);
      case "response.function_call_arguments.delta":
        return this.#items.argumentsDelta(event);
      case "response.function_call_arguments.done":
        return this.#items.argumentsDone(event);
      case "response.output_item.done":
        return this.#items.ended(event);
      case "response.completed":
      case "response.incomplete":
      case "response.done":
        return this.#completed(type, event);
      case "response.failed":
        return this.#failed(errorWords(event.response));
      case "error":
        return this.#failed(errorWords(event));
      default:
        return undefined;
    }
  }

  /** LM Studio has stopped. */
  stopped(): void {
    if (!this.ended) this.#failed("its answer ended without saying that it is complete");
  }

  /** The client's answer for LM Studio's; undefined while its end is held. */
  whole(response: Json): Json | undefined {
    if (this.#isSound(response)) {
      this.#ended = true;
      return response;
    }
    if (response.status === "failed") {
      this.#failed(errorWords(response));
      return response;
    }
    const said = this.#completed("response.completed", { type: "response.completed", response });
    if (this.#held !== undefined) return undefined;
    return said === undefined ? response : recordOf(said.at(-1)?.response);
  }

  /** Nothing but words, and nothing is wrong with it: most whole answers are, and need no item looked at. */
  #isSound({ status, id, usage, output }: Json): boolean {
    if (status !== "completed" || this.#rounds > 0 || this.#parts.toldId() !== undefined) return false;
    if (typeof id !== "string" || id === "" || (usage ?? null) !== (validUsage(usage) ?? null)) return false;
    const items = recordsOf(output);
    return items.length > 0 && items.every(({ type }) => type === "message" || type === "reasoning");
  }

  settle(id: string, status: "completed" | "failed"): readonly Json[] {
    return this.#items.settle(id, status);
  }

  /** LM Studio begins anew; for the client it goes on. */
  nextRound(): readonly Json[] {
    const said = this.#settleAll();
    this.#usage = this.#usageWith(recordOf(this.#held?.response));
    this.#earlier.push(...this.#items.done);
    this.#rounds += 1;
    this.#items = this.#nextItems();
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

  #nextItems(): Items {
    const note = (kind: RepairKind) => this.#repairs.set(kind, (this.#repairs.get(kind) ?? 0) + 1);
    const { calls, responseId: seed } = this.#parts;
    return new Items({ calls, seed, shift: this.#earlier.length, note });
  }

  #settleAll(): Json[] {
    return this.#items.searches.flatMap(({ id }) => this.settle(id, "failed"));
  }

  #beginning(type: string, event: Json): Said {
    const response = recordOf(event.response);
    this.#begin(response);
    // What has begun does not begin again.
    if (this.#rounds > 0) return [];
    if (this.#parts.toldId() !== undefined && type === "response.created") return [];
    return response.id === this.#id ? undefined : [{ ...event, type, response: { ...response, id: this.#id } }];
  }

  /** The answer's id stays. A client that was told one may refuse another (the openai package does). */
  #begin({ id }: Json): void {
    if (typeof id === "string" && id !== "") this.#ownId = id;
    this.#id ??= this.#parts.toldId() ?? this.#ownId ?? this.#parts.responseId;
  }

  #completed(type: string, event: Json): Said {
    if (this.#ended) return [];
    const response = recordOf(event.response);
    this.#begin(response);
    const { reason } = recordOf(response.incomplete_details);
    const kind = type === "response.incomplete" && !lengthStops.has(reason) ? type : "response.completed";
    const said = this.#items.missing(recordsOf(response.output), this.#parts.pieces());
    if (this.#isFull(response)) return this.#failed(fullWords(response, this.#parts.contextLength));
    const end = kind === event.type ? event : { ...event, type: kind };
    if (this.#items.searches.length > 0) {
      this.#held = end;
      return said;
    }
    this.#ended = true;
    const ending = this.#ending(end);
    return said.length === 0 && ending === event ? undefined : [...said, ending];
  }

  /** With some engines LM Studio answers a prompt that has no room with nothing at all (lmstudio-bug-tracker #2339). */
  #isFull({ usage }: Json): boolean {
    const { input_tokens: input, output_tokens: output } = validUsage(usage) ?? {};
    const { contextLength } = this.#parts;
    return (
      contextLength !== undefined && this.#items.done.length === 0 && output === 0 && (input as number) >= contextLength
    );
  }

  /** The answer's last event; the very same when nothing is to be done. */
  #ending(event: Json): Json {
    const response = recordOf(event.response);
    const output = this.#output(response.output);
    const usage = this.#usageWith(response);
    const same = output === response.output && response.id === this.#id && (usage ?? null) === (response.usage ?? null);
    if (same) return event;
    const { usage: _, ...rest } = response;
    return { ...event, response: { ...rest, id: this.#id, output, ...(usage === undefined ? {} : { usage }) } };
  }

  #output(output: unknown): unknown {
    const items = recordsOf(output);
    const final = items.length > 0 ? items.map((item, index) => this.#items.final(item, index)) : this.#items.done;
    const same = this.#rounds === 0 && Array.isArray(output) && final.every((item, index) => item === output[index]);
    return same && final.length === output.length ? output : [...this.#earlier, ...final];
  }

  #usageWith({ usage }: Json): Json | undefined {
    return usageOfRounds(this.#usage, validUsage(usage));
  }

  #failed(words = "it gave no reason"): Said {
    this.#fault = lmStudioFault(words);
    return [];
  }
}

const fullWords = ({ usage }: Json, length: number | undefined): string =>
  `context_length_exceeded, the prompt has ${recordOf(usage).input_tokens} tokens, the model has room for ${length}`;
