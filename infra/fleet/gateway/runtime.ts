/** HAProxy's Runtime API (management guide, chapter 9.3): hosts out of the endpoint and back in, and what it thinks of them. */
import { setTimeout } from "node:timers/promises";
import type { Gateway } from "../rollout/effects.ts";

export interface ServerState {
  readonly backend: string;
  readonly host: string;
  /** UP, DOWN or MAINT (out of the endpoint); `UP 1/3` is on its way to one of them. */
  readonly status: string;
  /** Requests that run there, and that wait for it here. */
  readonly running: number;
  readonly queued: number;
  /** What the last check found, in HAProxy's words. */
  readonly found: string;
}

/** Commands, one a line, to the admin socket. `change` also remembers states for the next start. */
export type Ask = (verb: "ask" | "change", commands: string) => Promise<string>;

const againMs = 500;
/** Of a host that is let in again: several checks. */
const seenWithinMs = 20_000;

export class RuntimeGateway implements Gateway {
  readonly #ask: Ask;
  constructor(ask: Ask) {
    this.#ask = ask;
  }

  async states(): Promise<ServerState[]> {
    return statesIn(await this.#ask("ask", "show stat\n"));
  }

  async drain(host: string, limitSeconds: number): Promise<void> {
    // Not HAProxy's own state `drain`, which still takes sessions that are at home there.
    await this.#set(host, "maint");
    const deadline = performance.now() + limitSeconds * 1_000;
    while ((await this.#of(host)).some(({ running, queued }) => running + queued > 0) && performance.now() < deadline)
      await setTimeout(againMs);
  }

  async undrain(host: string): Promise<void> {
    await this.#set(host, "ready");
    const deadline = performance.now() + seenWithinMs;
    for (;;) {
      const away = (await this.#of(host)).filter(({ status }) => status !== "UP" && status !== "no check");
      if (away.length === 0) return;
      if (performance.now() > deadline) {
        const words = away.map(({ backend, status, found }) => `${backend} ${status}${found ? ` (${found})` : ""}`);
        throw new Error(
          `${host} was let in again, and the gateway does not find it serving: ${words.join(", ")}. Next: \`npx lmstack doctor --stack ${host}\``,
        );
      }
      await setTimeout(againMs);
    }
  }

  async #of(host: string): Promise<ServerState[]> {
    const states = (await this.states()).filter((state) => state.host === host);
    if (states.length > 0) return states;
    throw new Error(`${host} is not among the gateway's hosts. Next: \`npx lmstack up\` of the gateway's stack`);
  }

  async #set(host: string, state: "maint" | "ready"): Promise<void> {
    const commands = (await this.#of(host)).map(({ backend }) => `set server ${backend}/${host} state ${state}`);
    const said = (await this.#ask("change", `${commands.join("; ")}\n`)).trim().replace(/\.$/, "");
    if (said !== "")
      throw new Error(`the gateway on ${host}: ${said}. Next: \`npx lmstack up\` of the gateway's stack`);
  }
}

/** From `show stat`: comma-separated, named by its first line. */
export function statesIn(csv: string): ServerState[] {
  const [head = "", ...lines] = csv.trim().split("\n");
  const names = head.replace(/^# /, "").split(",");
  return lines.flatMap((line) => {
    const values = line.split(",");
    const of = (name: string): string => values[names.indexOf(name)] ?? "";
    // 2 is a server, as against a frontend, a backend and a socket.
    if (of("type") !== "2") return [];
    const found = [of("check_desc"), of("check_code")].filter((word) => word !== "").join(" ");
    return {
      backend: of("pxname"),
      host: of("svname"),
      status: of("status"),
      running: Number(of("scur")),
      queued: Number(of("qcur")),
      found,
    };
  });
}
