/** The configuration in force: read from its file, read again when the file changes, and never replaced by one that is wrong. */
import { stat } from "node:fs/promises";
import path from "node:path";
import type { Logger } from "pino";
import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import { keysFileWarning, readKeysFile } from "../access/keys-file.ts";
import { ConfigFault, instancesFile, readConfig, readInstances } from "../config.ts";
import type { LiveConfig } from "../run.ts";

/** By polling: a bind mount and an atomic rename both lose a file's watcher. */
const pollMilliseconds = 1_000;

export class Settings implements LiveConfig {
  readonly #file: string;
  readonly #log: Logger;
  readonly #listeners = new Set<() => void>();
  #current: ProxyConfig;
  #problem: string | undefined;
  #seen: string;
  #reloading: Promise<void> = Promise.resolve();
  readonly #poll: NodeJS.Timeout;

  private constructor(file: string, log: Logger, current: ProxyConfig, seen: string) {
    this.#file = file;
    this.#log = log;
    this.#current = current;
    this.#seen = seen;
    this.#poll = setInterval(() => void this.#look(), pollMilliseconds);
    this.#poll.unref();
  }

  /** Throws `ConfigFault` with every fault of either file. */
  static async open(file: string, log: Logger): Promise<Settings> {
    // Looked at before they are read: what changes meanwhile is read again.
    const seen = await signature(file, await readConfig(file));
    return new Settings(file, log, await read(file, log), seen);
  }

  /** With the keys of the keys file among its own. The same object until the next reload. */
  get current(): ProxyConfig {
    return this.#current;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Reads both files now, and after a reading that is under way: that one may have seen the old ones. A wrong one changes nothing but `problem`. */
  reload(): Promise<void> {
    const reading = this.#reloading.then(() => this.#reload());
    this.#reloading = reading.catch(() => {});
    return reading;
  }

  close(): void {
    clearInterval(this.#poll);
  }

  async #look(): Promise<void> {
    const seen = await signature(this.#file, this.#current);
    if (seen === this.#seen) return;
    this.#seen = seen;
    await this.reload();
  }

  async #reload(): Promise<void> {
    let next: ProxyConfig;
    try {
      next = await read(this.#file, this.#log);
    } catch (error) {
      if (!(error instanceof ConfigFault)) throw error;
      if (this.#problem !== error.message) {
        this.#log.error({ reason: error.message }, "the new configuration is wrong; the old one stays in force");
      }
      this.#problem = error.message;
      return;
    }
    this.#problem = undefined;
    const { listen, upstream } = this.#current;
    if (JSON.stringify([next.listen, next.upstream]) !== JSON.stringify([listen, upstream])) {
      this.#log.warn(
        { listen, upstream },
        "listen and upstream cannot change while the proxy runs: these stay, the rest is taken. Restart it to change them",
      );
    }
    this.#current = { ...next, listen, upstream };
    this.#log.info({ keys: this.#current.keys.length }, "the configuration was read again");
    for (const listener of this.#listeners) listener();
  }
}

async function read(file: string, log: Logger): Promise<ProxyConfig> {
  const written = await readConfig(file);
  const config = { ...written, instances: { ...written.instances, ...(await readInstances(file)) } };
  if (config.keysFile === undefined) return config;
  const keysFile = path.resolve(path.dirname(file), config.keysFile);
  const keys = await readKeysFile(keysFile, config.keys);
  const warning = await keysFileWarning(keysFile);
  if (warning !== undefined) log.warn(warning);
  return { ...config, keys: [...config.keys, ...keys] };
}

/** Changes whenever one of the files does. */
async function signature(file: string, config: ProxyConfig): Promise<string> {
  const files = [file, instancesFile(file)];
  if (config.keysFile !== undefined) files.push(path.resolve(path.dirname(file), config.keysFile));
  const parts = files.map((name) =>
    stat(name).then(
      ({ mtimeMs, size, ino }) => `${mtimeMs}/${size}/${ino}`,
      () => "absent",
    ),
  );
  return (await Promise.all(parts)).join(" ");
}
