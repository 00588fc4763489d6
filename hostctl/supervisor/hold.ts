/** Keeps the proxy's requests for a model waiting while the supervisor swaps it, so that none of them finds the model gone. */
import type { Host } from "../host.ts";
import { paced } from "../host.ts";
import { send } from "../http.ts";
import { pause } from "../pause.ts";
import { adminSockets } from "../resources/admin-sockets.ts";
import { type Desired, loadKey, type Memory, targetOf, type World } from "./decide.ts";
import { quarantined } from "./quarantine.ts";
import { judgeLmstudio, judgeModel } from "./status.ts";

export interface HoldTimes {
  /** A hold that nobody renews ends after so long: this process may be killed. */
  readonly holdSeconds: number;
  readonly renewMs: number;
  /** Running requests get so long to end before the model is unloaded. */
  readonly patienceMs: number;
  readonly pollMs: number;
}

export const patienceMs = 60_000;
// Asked often: whoever is held waits for the answer, and it is a call within the machine.
const usual: HoldTimes = { holdSeconds: 60, renewMs: 20_000, patienceMs, pollMs: 50 };
const answerMs = 2_000;

/** Whether a held model's requests may go on: it is there again, will not be by itself, or is not declared any more. */
export function holdIsOver(identifier: string, desired: Desired, world: World, memory: Memory): boolean {
  const declared = desired.models.find((one) => one.identifier === identifier);
  const lmstudio = judgeLmstudio(desired, world, memory);
  if (declared === undefined || lmstudio === null || lmstudio.state === "failed") return true;
  const model = targetOf(declared, memory);
  if (judgeModel(model, world, memory).state === "ready") return true;
  // What could not be unloaded still answers; what could not be loaded is tried again while its requests wait.
  if (memory.failures[`unload:${identifier}`] !== undefined) return true;
  return quarantined(memory.failures[loadKey(model)]);
}

export class Holds {
  readonly #host: Host;
  readonly #say: (line: string) => void;
  readonly #signal: AbortSignal;
  readonly #times: HoldTimes;
  readonly #held = new Set<string>();
  #renewing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(host: Host, say: (line: string) => void, signal: AbortSignal, times: HoldTimes = usual) {
    this.#host = host;
    this.#say = say;
    this.#signal = signal;
    this.#times = times;
  }

  get models(): readonly string[] {
    return [...this.#held];
  }

  /** Resolves when the proxy runs nothing of the model any more, or does so for too long. Without a proxy there is nothing to wait for. */
  async begin(model: string): Promise<void> {
    const { patienceMs, pollMs } = this.#times;
    this.#held.add(model);
    this.#keep();
    const deadline = Date.now() + patienceMs;
    const waiting = paced(this.#say, 5_000);
    for (;;) {
      const running = await this.#post(model, "hold");
      if (running === 0 || this.#signal.aborted) return;
      if (Date.now() >= deadline) {
        this.#say(`${model}: requests that still run after ${patienceMs / 1_000} s are cut off (${running})`);
        return;
      }
      waiting(`${model}: waiting for its running requests to end (${running})`);
      await pause(pollMs);
    }
  }

  /** The model's requests go on. */
  async end(model: string): Promise<void> {
    this.#held.delete(model);
    // A renewal that is on its way would arrive after the end and hold again.
    await this.#renewing;
    await this.#post(model, "resume");
  }

  #keep(): void {
    this.#timer ??= setTimeout(() => {
      this.#renewing = this.#renew();
    }, this.#times.renewMs).unref();
  }

  /** Also reaches a proxy that started meanwhile. */
  async #renew(): Promise<void> {
    for (const model of this.models) await this.#post(model, "hold");
    this.#timer = undefined;
    if (this.#held.size > 0) this.#keep();
  }

  /** Returns how many requests of the model run, by what every living proxy says. One that does not understand holds nothing. */
  async #post(model: string, call: "hold" | "resume"): Promise<number> {
    const query = call === "hold" ? `?seconds=${this.#times.holdSeconds}` : "";
    const path = `/-/models/${encodeURIComponent(model)}/${call}${query}`;
    const sockets = await adminSockets(this.#host);
    const counts = await Promise.all(
      sockets.map(async (socketPath) => {
        const answer = await send({ socketPath }, "POST", path, null, answerMs).catch((error: Error) => error);
        if (!(answer instanceof Error) && answer.status === 200) return runningIn(answer.body);
        const why = answer instanceof Error ? answer.message : `it answered ${answer.status}`;
        this.#say(`note: the proxy did not ${call} ${model}: ${why}`);
        return 0;
      }),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }
}

/** The count in the proxy's answer; 0 when there is none. */
function runningIn(body: string): number {
  try {
    const { running } = JSON.parse(body) as { running?: unknown };
    return typeof running === "number" && running > 0 ? running : 0;
  } catch {
    return 0;
  }
}
