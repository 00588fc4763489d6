/** The host's cards, asked for only while somebody looks: from the driver, or from the supervisor's file where the driver is out of reach. */
import { type ChildProcess, execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { type GpuFacts, gpuFileName, gpuQuery, readGpuFile, readGpuLines } from "../../infra/spec/gpu-facts.ts";

/** Facts of this age are asked for again. */
const freshMilliseconds = 10_000;
/** Facts of this age are not shown before they were asked for again. */
const oldMilliseconds = 30_000;
const askMilliseconds = 5_000;

export class GpuReader {
  readonly #file: string;
  readonly #now: () => number;
  #facts: readonly GpuFacts[] = [];
  #at = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;
  #child: ChildProcess | undefined;
  /** Programs do not appear while a container runs, and a driver is not installed without a restart. */
  #driver = true;
  #stopped = false;

  /** `folder` is the one that is shared with the supervisor; `now` in milliseconds since the epoch. */
  constructor(folder: string, now: () => number = Date.now) {
    this.#file = path.join(folder, gpuFileName);
    this.#now = now;
  }

  /** What is known, at most 30 s old; waits only where nothing so young is known. Never rejects. */
  async facts(): Promise<readonly GpuFacts[]> {
    const age = this.#now() - this.#at;
    if (age >= freshMilliseconds) {
      const asked = this.#askOnce();
      if (age >= oldMilliseconds) await asked;
    }
    return this.#facts;
  }

  /** What is known at this moment, and the reason to ask again if that is old. */
  latest(): readonly GpuFacts[] {
    if (this.#now() - this.#at >= freshMilliseconds) void this.#askOnce();
    return this.#facts;
  }

  /** Ends a question that is under way; nothing is asked after it. */
  stop(): void {
    this.#stopped = true;
    this.#child?.kill("SIGKILL");
  }

  #askOnce(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    const told = this.#driver ? await this.#askDriver() : [];
    this.#facts = told.length > 0 ? told : await this.#askFile();
    this.#at = this.#now();
  }

  #askDriver(): Promise<readonly GpuFacts[]> {
    return new Promise((resolve) => {
      const options = { timeout: askMilliseconds, killSignal: "SIGKILL", windowsHide: true } as const;
      this.#child = execFile(gpuQuery.program, gpuQuery.words, options, (error, stdout) => {
        this.#child = undefined;
        if (error?.code === "ENOENT") this.#driver = false;
        resolve(error === null ? readGpuLines(stdout) : []);
      });
    });
  }

  async #askFile(): Promise<readonly GpuFacts[]> {
    return readGpuFile(await readFile(this.#file, "utf8").catch(() => ""), this.#now());
  }
}
