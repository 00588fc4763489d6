/** A home that a fact may do with as it likes. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Caller, Place, type Ran } from "./place.ts";

export interface ScratchModel {
  /** `publisher/repo/file.gguf` under the models folder. */
  readonly path: string;
  readonly file: string;
}

export class Scratch extends Place {
  /** Two files that differ in their names: `lms ls` lists both. */
  readonly models: readonly [ScratchModel, ScratchModel];

  constructor(caller: Caller, models: readonly [ScratchModel, ScratchModel]) {
    super(caller);
    this.models = models;
  }

  get model(): ScratchModel {
    return this.models[0];
  }

  /** As `ls` calls the models; wakes the daemon. */
  async keys(): Promise<[string, string]> {
    const listed = (await this.json("ls")) as { path: string; modelKey: string }[];
    const keyOf = ({ path }: ScratchModel): string => {
      const found = listed.find((model) => model.path === path);
      if (found === undefined) throw new Error(`lms ls does not list ${path}`);
      return found.modelKey;
    };
    return [keyOf(this.models[0]), keyOf(this.models[1])];
  }

  async key(): Promise<string> {
    return (await this.keys())[0];
  }

  lmsWith(environment: Readonly<Record<string, string>>, ...args: string[]): Promise<Ran> {
    return this.run(this.lmsProgram, args, environment);
  }

  /** The first model, exactly; fails when that does. */
  async load(identifier: string, ...flags: string[]): Promise<Ran> {
    const ran = await this.lms("load", "--exact", this.model.path, "--identifier", identifier, "-y", ...flags);
    if (ran.code !== 0) throw new Error(`lms load failed: ${ran.err}`);
    this.identifier = identifier;
    return ran;
  }

  async loaded(): Promise<string[]> {
    return ((await this.json("ps")) as { identifier: string }[]).map(({ identifier }) => identifier);
  }

  /** On a free port. */
  async serve(...flags: string[]): Promise<Ran> {
    this.port = await freePort();
    const ran = await this.lms("server", "start", "--port", String(this.port), ...flags);
    if (ran.code !== 0) throw new Error(`lms server start failed: ${ran.err}`);
    return ran;
  }

  async daemonUp(): Promise<{ readonly pid: number; readonly isDaemon: boolean; readonly version: string }> {
    return await this.json("daemon", "up");
  }

  async daemonRuns(): Promise<boolean> {
    return (await this.json("daemon", "status")).status === "running";
  }

  /** Until the process has gone, which `daemon down` does not wait for. */
  async daemonDown(): Promise<void> {
    await this.lms("daemon", "down");
    await until(async () => !(await this.daemonRuns()));
  }

  async writeJson(name: string, value: unknown): Promise<void> {
    await mkdir(dirname(this.file(name)), { recursive: true });
    await writeFile(this.file(name), `${JSON.stringify(value)}\n`);
  }

  /** Merged into what is there. */
  async mergeJson(name: string, change: Readonly<Record<string, unknown>>): Promise<void> {
    const before = JSON.parse(await readFile(this.file(name), "utf8").catch(() => "{}")) as Record<string, unknown>;
    await this.writeJson(name, { ...before, ...change });
  }

  /** The undocumented defaults of the first model. */
  async modelDefaults(load: Readonly<Record<string, unknown>>, operation: Readonly<Record<string, unknown>> = {}) {
    const fields = (values: Readonly<Record<string, unknown>>) => ({
      fields: Object.entries(values).map(([key, value]) => ({ key, value })),
    });
    await this.writeJson(`.internal/user-concrete-model-default-config/${this.model.path}.json`, {
      preset: "",
      operation: fields(operation),
      load: fields(load),
    });
  }
}

export async function until(isSo: () => Promise<boolean>, withinMs = 20_000): Promise<void> {
  for (const deadline = Date.now() + withinMs; !(await isSo()); ) {
    if (Date.now() > deadline) throw new Error(`it did not come about within ${withinMs} ms`);
    await delay(20);
  }
}

/** A port that was free a moment ago: for what wants to be told a number. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Local addresses that listen on a TCP port, as the kernel writes them; Linux only. */
export async function listensOn(port: number): Promise<string[]> {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`/proc/net/${name}`, "utf8").catch(() => "")),
  );
  return tables
    .flatMap((table) => table.split("\n"))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = "", , state]) => state === "0A" && local.endsWith(`:${hex}`))
    .map(([, local = ""]) => local.split(":")[0] as string);
}

export const loopback = "0100007F";
