/**
 * Starts the proxy's container again where Docker gives up: one that could not start (a broken GPU hook) or that died with dockerd stays
 * ended, whatever its restart policy says. Where it does not start with the GPU, one without it serves meanwhile.
 */
import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { dockerLabels } from "../../infra/spec/host-layout.ts";
import { readJson } from "../atomic-file.ts";
import { lastLine } from "../command.ts";
import { type Container, docker, parseContainers } from "../docker.ts";
import type { Host } from "../host.ts";
import { note } from "../journal.ts";
import { endStandIns, gatedBefore } from "../resources/proxy-gate.ts";

/** Docker itself tries first, and a redeploy has its moments without a listener. */
const silencesBefore = 2;

/** `retryMs`: while a proxy without the GPU serves, the declared one is tried again this often. */
const usual = { everyMs: 5000, retryMs: 30_000 };

/** The one that has to run and does not. Null where one runs, or where it is not plain which one is meant. `gated` is the one that served last. */
export function endedContainer(containers: readonly Container[], gated: string | null): Container | null {
  const staying = containers.filter(({ leaving, withoutGpu }) => !leaving && !withoutGpu);
  if (staying.some(({ running, restarting }) => running || restarting)) return null;
  const [only] = staying;
  return only !== undefined && staying.length === 1 ? only : (staying.find(({ id }) => id === gated) ?? null);
}

/** Asks the proxy's port again and again until `signal`, and Docker only when nobody listens there, or one stands in. Never rejects. */
export async function keepProxyContainer(
  host: Host,
  say: (line: string) => void,
  signal: AbortSignal,
  { everyMs, retryMs } = usual,
): Promise<void> {
  const keeper = new Keeper(host, say, retryMs);
  let silences = 0;
  while (!signal.aborted) {
    const where = await declaredAddress(host);
    silences = where === null || (await listens(where)) ? 0 : silences + 1;
    const due = silences >= silencesBefore || (where !== null && keeper.dueAt <= Date.now());
    if (due && !signal.aborted) {
      await keeper.tend().catch((error: unknown) => say(`the proxy's container: ${wordsOf(error)}`));
    }
    await setTimeout(everyMs, undefined, { signal, ref: false }).catch(() => {});
  }
}

class Keeper {
  /** When to try the declared container again although somebody serves. The first time at once: a supervisor before may have left a stand-in. */
  dueAt = 0;
  readonly #host: Host;
  readonly #say: (line: string) => void;
  readonly #retryMs: number;
  /** Why it did not start: told once. */
  #told = "";

  constructor(host: Host, say: (line: string) => void, retryMs: number) {
    this.#host = host;
    this.#say = say;
    this.#retryMs = retryMs;
  }

  async tend(): Promise<void> {
    this.dueAt = Number.POSITIVE_INFINITY;
    const containers = await proxyContainers(this.#host);
    const standsIn = containers.some(({ withoutGpu, running }) => withoutGpu === true && running);
    if (standsIn) this.dueAt = Date.now() + this.#retryMs;
    const ended = endedContainer(containers, await gatedBefore(this.#host));
    if (ended === null) {
      const declared = containers.find(({ running, leaving, withoutGpu }) => running && !leaving && !withoutGpu);
      if (standsIn && declared !== undefined && !(await endStandIns(this.#host, declared, containers))) this.dueAt = 0;
      return;
    }
    const started = await docker(this.#host, ["start", ended.id]);
    if (started.code === 0) {
      this.#told = "";
      // A proxy that starts takes over; the one without the GPU is let go at the next look.
      if (standsIn) this.dueAt = 0;
      const why = standsIn ? "it could not start with the GPU before" : "it had ended";
      return await this.#tell("starting the proxy's container", why, "done", true);
    }
    const reason = lastLine(started.stderr) || "no answer in time";
    if (reason !== this.#told) {
      this.#told = reason;
      await this.#tell("starting the proxy's container", "it had ended", `it does not start: ${reason}`, false);
    }
    if (!standsIn) await this.#standIn(ended.id, reason);
  }

  async #standIn(declared: string, reason: string): Promise<void> {
    // Seldom, and it takes much code.
    const { standInName, standInWords } = await import("./stand-in.ts");
    const { stdout } = await docker(this.#host, ["inspect", "--type", "container", declared], 5000);
    const words = standInWords(stdout);
    if (words === null) return;
    // A start that failed may have left one that never ran.
    await docker(this.#host, ["rm", "-f", standInName(declared)]);
    const { code, stderr } = await docker(this.#host, words);
    const result =
      code === 0
        ? "done: it serves, and the declared one is tried again twice a minute"
        : `failed: ${lastLine(stderr)}`;
    await this.#tell(
      "starting the proxy without the GPU",
      `its container does not start: ${reason}`,
      result,
      code === 0,
    );
    if (code === 0) this.dueAt = Date.now() + this.#retryMs;
  }

  async #tell(what: string, why: string, result: string, ok: boolean): Promise<void> {
    this.#say(`${what}, because ${why}: ${result}`);
    await note(this.#host, { what, why, result, ok });
  }
}

async function proxyContainers(host: Host): Promise<Container[]> {
  const label = `label=${dockerLabels.role}=proxy`;
  const { code, stdout } = await docker(host, ["ps", "-aq", "--no-trunc", "--filter", label], 5000);
  const ids = stdout.split("\n").filter((id) => id !== "");
  if (code !== 0 || ids.length === 0) return [];
  return parseContainers((await docker(host, ["inspect", "--type", "container", ...ids], 5000)).stdout);
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function declaredAddress(host: Host): Promise<{ host: string; port: number } | null> {
  const config = await readJson<{ listen?: { host?: string; port?: number } }>(join(host.paths.proxy, "proxy.json"));
  const { host: address = "127.0.0.1", port } = config?.listen ?? {};
  return port === undefined ? null : { host: ["0.0.0.0", "::"].includes(address) ? "127.0.0.1" : address, port };
}

function listens(where: { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ ...where, timeout: 2000 });
    const answer = (there: boolean) => {
      socket.destroy();
      resolve(there);
    };
    socket.once("connect", () => answer(true));
    // Full, not gone.
    socket.once("timeout", () => answer(true));
    socket.once("error", () => answer(false));
  });
}
