/** The proxy as a process of its own, from the same bundle that hosts run, watched from outside and through a probe inside. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { bundleProxy } from "../../infra/host/bundle.ts";
import type { ProxyConfigInput } from "../../infra/spec/proxy-config.ts";

/** What is alive in the process, after a garbage collection. */
export interface Vitals {
  readonly descriptors: number;
  readonly timers: number;
  readonly listeners: number;
  readonly handles: number;
  readonly resources: number;
  readonly heapBytes: number;
}

const countedVitals = ["descriptors", "timers", "listeners", "handles", "resources"] as const;

/** Built once for all the processes of a run. */
let program: Promise<Uint8Array> | undefined;

export class ProxyProcess implements AsyncDisposable {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #log: LogBook;

  private constructor(child: ChildProcess, folder: string, log: LogBook, port: number) {
    this.#child = child;
    this.#folder = folder;
    this.#log = log;
    this.port = port;
  }

  static async start(config: Omit<ProxyConfigInput, "listen">): Promise<ProxyProcess> {
    const folder = await mkdtemp(join(tmpdir(), "proxy-run-"));
    program ??= bundleProxy();
    await writeFile(join(folder, "proxy.mjs"), await program);
    const document = { drainSeconds: 1, ...config, listen: { host: "127.0.0.1", port: 0 } };
    await writeFile(join(folder, "proxy.json"), JSON.stringify(document));
    const probe = fileURLToPath(new URL("probe.mjs", import.meta.url));
    const args = ["--expose-gc", "--import", probe, join(folder, "proxy.mjs"), "--config", join(folder, "proxy.json")];
    const env = { ...process.env, TMPDIR: folder, NODE_OPTIONS: "" };
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe", "pipe"] });
    const log = new LogBook(child);
    const port = await log.port;
    return new ProxyProcess(child, folder, log, port);
  }

  /** Says why when the process is no more. */
  get crash(): string | undefined {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) return undefined;
    return `ended with ${exitCode ?? signalCode}: ${this.#log.errorText.slice(-2_000)}`;
  }

  /** Lines of the log that say that the proxy itself failed, at most 20. */
  get internalErrors(): readonly string[] {
    return this.#log.internalErrors;
  }

  /** Whatever it wrote beside its log: warnings of Node's, stacks. */
  get errorText(): string {
    return this.#log.errorText;
  }

  async vitals(): Promise<Vitals> {
    const channel = this.#child.stdio[3] as Duplex;
    channel.write("?");
    const [line] = (await once(channel, "data")) as [Buffer];
    return JSON.parse(line.toString()) as Vitals;
  }

  /** Asks until two looks find the same, for at most five seconds. */
  async steady(): Promise<Vitals> {
    const counts = (vitals: Vitals) => countedVitals.map((name) => vitals[name]).join();
    const deadline = performance.now() + 5_000;
    for (let before = await this.vitals(); ; ) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const now = await this.vitals();
      if (counts(now) === counts(before) || performance.now() > deadline) return now;
      before = now;
    }
  }

  /** Asks until nothing is above the baseline any more, for at most `milliseconds`; resolves with what is still above it, in words. */
  async settled(baseline: Vitals, milliseconds: number): Promise<readonly string[]> {
    const deadline = performance.now() + milliseconds;
    for (;;) {
      const now = await this.vitals();
      const above = countedVitals.filter((name) => now[name] > baseline[name]);
      if (above.length === 0 || performance.now() > deadline) {
        return above.map((name) => `${name}: ${now[name]}, were ${baseline[name]}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.crash === undefined) {
      const ended = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const kept = 20;

/** Follows the log of one process without keeping it. */
class LogBook {
  readonly internalErrors: string[] = [];
  readonly port: Promise<number>;
  errorText = "";

  constructor(child: ChildProcess) {
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.errorText = (this.errorText + text).slice(-20_000);
    });
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    this.port = new Promise((resolve, reject) => {
      child.once("exit", () => reject(new Error(`the proxy did not start: ${this.errorText}`)));
      lines.on("line", (line) => {
        const port = /"msg":"listening"/.test(line) && /"port":([0-9]+)/.exec(line)?.[1];
        if (port) resolve(Number(port));
        if (/"internal_error"|"level":(?:50|60)/.test(line) && this.internalErrors.length < kept)
          this.internalErrors.push(line);
      });
    });
    // Nobody waits for the port any more when the process ends later.
    this.port.catch(() => {});
  }
}
