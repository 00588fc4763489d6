/** A rollout as it goes on: a list that moves on a terminal, lines in a log, a JSON document a line for programs. */
import { Listr } from "listr2";
import { eventLine, type RolloutEvent } from "../fleet/rollout/events.ts";

export interface RolloutView {
  show(event: RolloutEvent): void;
  /** Whatever came, nothing moves any more. */
  end(): Promise<void>;
}

export function rolloutView(json: boolean | undefined): RolloutView {
  if (json) return { show: (event) => console.log(JSON.stringify(event)), end: async () => {} };
  return process.stdout.isTTY ? new LiveView() : new LogView();
}

/** Words of one host, or of one watch, in a log. */
const againMs = 15_000;

class LogView implements RolloutView {
  readonly #said = new Map<string, number>();

  show(event: RolloutEvent): void {
    if (this.#isDue(event)) console.log(eventLine(event));
  }

  async end(): Promise<void> {}

  #isDue(event: RolloutEvent): boolean {
    if (event.event !== "words" && !(event.event === "bake" && event.secondsLeft > 0)) return true;
    const key = event.event === "words" ? event.host : event.event;
    const due = Date.parse(event.at) - (this.#said.get(key) ?? 0) >= againMs;
    if (due) this.#said.set(key, Date.parse(event.at));
    return due;
  }
}

interface Row {
  readonly since: number;
  readonly over: PromiseWithResolvers<void>;
  words: string;
  /** Its line on the terminal, once the list has made it. */
  line?: { title: string; output: string };
}

/** A list a wave, of its hosts; what was is left above it. */
class LiveView implements RolloutView {
  #list: Promise<unknown> = Promise.resolve();
  readonly #rows = new Map<string, Row>();
  #clock: NodeJS.Timeout | undefined;

  show(event: RolloutEvent): void {
    const row = this.#rows.get("host" in event ? event.host : "watch");
    const files = this.#rows.get("files");
    if (event.event === "wave") this.#begin(event.hosts, eventLine(event));
    else if (event.event === "spread" && !event.over) this.#begin(["files"], eventLine(event));
    else if (event.event === "spread" && files) {
      files.words = eventLine(event).slice("12:00:00 ".length);
      this.#finish("files", null);
    } else if (event.event === "bake" && event.secondsLeft > 0 && !row) this.#begin(["watch"], eventLine(event));
    else if (event.event === "bake" && row) {
      row.words = eventLine(event).slice("12:00:00 ".length);
      if (event.secondsLeft === 0) this.#finish("watch", null);
    } else if (event.event === "host" && row) row.words = `${event.host}: ${event.doing}`;
    else if (event.event === "words" && row?.line) row.line.output = event.words;
    else if (event.event === "words" && files?.line) files.line.output = `${event.host}: ${event.words}`;
    else if (event.event === "host-ended" && row) {
      row.words = eventLine(event).slice("12:00:00 ".length);
      this.#finish(event.host, event.phase === "failed" || event.phase === "stuck" ? new Error(row.words) : null);
    } else if (event.event !== "words") void this.#list.then(() => console.log(eventLine(event)));
  }

  async end(): Promise<void> {
    for (const name of [...this.#rows.keys()]) this.#finish(name, null);
    await this.#list;
  }

  #begin(names: readonly string[], head: string): void {
    const tasks = names.map((name) => {
      const row: Row = { since: performance.now(), over: Promise.withResolvers(), words: name };
      this.#rows.set(name, row);
      const task = async (_: unknown, line: { title: string; output: string }): Promise<void> => {
        row.line = line;
        await row.over.promise;
      };
      return { title: name, task };
    });
    const options = { concurrent: true, exitOnError: false, registerSignalListeners: false } as const;
    this.#list = this.#list.then(async () => {
      console.log(head);
      await new Listr(tasks, options).run();
    });
    this.#clock ??= setInterval(() => this.#tick(), 1_000);
  }

  #tick(): void {
    for (const { line, words, since } of this.#rows.values())
      if (line) line.title = `${words} (${Math.round((performance.now() - since) / 1_000)} s)`;
  }

  #finish(name: string, failure: Error | null): void {
    const row = this.#rows.get(name);
    this.#rows.delete(name);
    if (row?.line) row.line.title = row.words;
    if (failure) row?.over.reject(failure);
    else row?.over.resolve();
    if (this.#rows.size > 0) return;
    clearInterval(this.#clock);
    this.#clock = undefined;
  }
}
