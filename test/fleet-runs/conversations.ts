/** The load of a fleet run: people who work with Codex, each in one thread after the other, a tool call and an answer a turn. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Agent, type Dispatcher } from "undici";
import { type Answer, send } from "../chaos/load.ts";
import { modelId } from "./models.ts";
import { Thread } from "./thread.ts";

/** One request of a conversation, as its client saw it. */
export interface Turn extends Answer {
  readonly thread: string;
  /** A call of a tool instead of words. */
  readonly called: boolean;
}

/** After these a person begins anew. */
const turnsOfThread = 12;
/** Between an answer and the next question. */
const pauseMs = 200;

export class Conversations implements AsyncDisposable {
  readonly #url: () => string;
  readonly #key: string;
  readonly #stopped = new AbortController();
  readonly #dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 5000 } });
  readonly #clients: Promise<unknown>;
  #turns: Turn[] = [];
  #end: Promise<void> | undefined;

  /** @param url of an endpoint, ending with `/v1`: asked for at each request */
  constructor(count: number, url: () => string, key: string) {
    this.#url = url;
    this.#key = key;
    this.#clients = Promise.all(Array.from({ length: count }, () => this.#client()));
  }

  /** Requests that have ended since the last call, oldest first. */
  take(): Turn[] {
    const taken = this.#turns;
    this.#turns = [];
    return taken;
  }

  /** Every conversation comes to the end of its turn. */
  stop(): Promise<void> {
    this.#stopped.abort();
    this.#end ??= this.#clients.then(() => this.#dispatcher.close());
    return this.#end;
  }

  async #client(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const thread = new Thread(randomUUID(), modelId);
      for (let turn = 1, well = true; well && turn <= turnsOfThread && !this.#stopped.signal.aborted; turn += 1) {
        thread.ask(`Look at step ${turn} and say what you find.`);
        const url = this.#url();
        well = await takeTurn(thread, { url, key: this.#key }, this.#dispatcher, (ended) => this.#turns.push(ended));
        await delay(pauseMs, undefined, { signal: this.#stopped.signal }).catch(() => {});
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Requests until the answer is words. @returns false when one failed, and the thread cannot go on */
export async function takeTurn(
  thread: Thread,
  { url, key }: { readonly url: string; readonly key: string },
  dispatcher: Dispatcher,
  onEnd: (turn: Turn) => void,
): Promise<boolean> {
  for (;;) {
    const sent = { headers: thread.headers(key), body: thread.body() };
    const answer = await send(`${url}/responses`, sent, { dispatcher });
    const called = answer.items.some(({ type }) => type === "function_call");
    onEnd({ ...answer, thread: thread.id, called });
    if (answer.end !== "complete") return false;
    if (!thread.take(answer.items)) return true;
  }
}
