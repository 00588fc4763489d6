/** What was learned about switching thinking off, kept beside the admin sockets: it holds after a restart, of the proxy and of LM Studio. */
import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Logger } from "pino";
import { parsed, recordOf } from "../unknown-json.ts";
import { isStrategyName, type StrategyName } from "./policy.ts";

const fileName = "no-think.json";

export type Learned = ReadonlyMap<string, StrategyName>;

export class LearnedFile {
  readonly #file: string;
  readonly #log: Logger;
  #next: Learned | undefined;
  #writing: Promise<void> | undefined;

  constructor(folder: string, log: Logger) {
    this.#file = path.join(folder, fileName);
    this.#log = log;
  }

  /** Empty where there is no file yet, or none that can be read: then it is learned again. */
  read(): Learned {
    let text = "{}";
    try {
      text = readFileSync(this.#file, "utf8");
    } catch {
      // Nothing was learned yet.
    }
    const entries = Object.entries(recordOf(parsed(text)));
    return new Map(entries.filter((entry): entry is [string, StrategyName] => isStrategyName(entry[1])));
  }

  /** One write at a time, of what was learned last: a model that never stops thinking must not write with each answer. */
  write(learned: Learned): void {
    this.#next = learned;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves when what was learned is on the disk. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#next !== undefined) {
      const text = `${JSON.stringify(Object.fromEntries(this.#next), null, 2)}\n`;
      this.#next = undefined;
      const staging = `${this.#file}.${process.pid}.tmp`;
      try {
        await writeFile(staging, text, { mode: 0o600 });
        await rename(staging, this.#file);
      } catch (err) {
        this.#log.warn({ err, file: this.#file }, "what was learned about thinking could not be kept");
      }
    }
  }
}
