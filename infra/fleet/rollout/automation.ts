/** Stacks through Pulumi's Automation API, with the lock of a dead process taken away. */
import { setTimeout as wait } from "node:timers/promises";
import {
  CommandError,
  ConcurrentUpdateError,
  type EngineEvent,
  type LocalWorkspace,
  Stack,
} from "@pulumi/pulumi/automation/index.js";
import { HostFault, type Say } from "./effects.ts";
import type { Lease } from "./journal.ts";
import type { Here } from "./lease.ts";
import { areLeft, locksIn, lockWentMeanwhile, lockWords, writtenMeanwhile } from "./locks.ts";

/** `select` would change what the user has selected, and after each `up` the API asks for outputs and history, each a process of half a second. */
export async function plainStack(name: string, workspace: LocalWorkspace): Promise<Stack> {
  workspace.selectStack = async () => {};
  workspace.stackOutputs = async () => ({});
  const stack = await Stack.select(name, workspace);
  stack.info = async () => undefined;
  return stack;
}

const lockSeconds = 2;

export interface Unlocking {
  readonly here: Here;
  /** Whose lease was, or may be, taken over; asked when a lock is met. */
  former(): Promise<Lease | null>;
  /** How long somebody who is at work is waited for. */
  readonly patienceSeconds: number;
  readonly say: Say;
}

/** @throws HostFault when somebody else is at work on the stack and stays so */
export async function unlocked<T>(stack: Stack, unlocking: Unlocking, work: () => Promise<T>): Promise<T> {
  const { here, patienceSeconds, say } = unlocking;
  const until = performance.now() + patienceSeconds * 1_000;
  let met = "";
  for (let told = false; ; ) {
    try {
      return await work();
    } catch (error) {
      const busy =
        error instanceof ConcurrentUpdateError ||
        (error instanceof CommandError && (lockWentMeanwhile(error.message) || writtenMeanwhile(error.message)));
      if (!busy) throw error;
      const locks = locksIn(error.message);
      const words = lockWords(stack.name, locks);
      // Met twice: whoever has just ended by itself may be followed by a living one, whose lock would go with it.
      const left = areLeft(locks, here, await unlocking.former());
      if (left && words === met) {
        say(`a lock that nobody is behind any more is taken away: ${words}`);
        await stack.cancel();
        met = "";
        continue;
      }
      met = words;
      if (!left && performance.now() > until) throw new HostFault(words, { cause: error });
      if (!told) say(words);
      told = true;
      // Two that want the same would otherwise meet again and again.
      await wait(lockSeconds * 500 * (1 + Math.random()));
    }
  }
}

/** What the engine tells while it works: short lines to `say`, and at the end why it failed. */
export class Told {
  readonly #errors: string[] = [];
  readonly #say: Say;

  constructor(say: Say) {
    this.#say = say;
  }

  readonly onEvent = ({ diagnosticEvent }: EngineEvent): void => {
    const message = plain(diagnosticEvent?.message ?? "");
    if (message === "") return;
    if (diagnosticEvent?.severity === "error") this.#errors.push(message);
    // The engine tells its own defects' hunters more than its types say.
    else if (/^(info|warning)/.test(diagnosticEvent?.severity ?? "")) this.#say(message.split("\n").at(-1) ?? "");
  };

  failure(error: unknown): HostFault {
    const own =
      error instanceof CommandError ? lastLine(error) : error instanceof Error ? error.message : String(error);
    return new HostFault(failureWords(this.#errors) ?? own, { cause: error });
  }
}

const plain = (message: string): string => message.replaceAll(/<\{%.*?%\}>/g, "").trim();

const lastLine = ({ message: text }: CommandError): string => {
  const stderr = /stderr: ([\s\S]*?)(?:\n err\?:|$)/.exec(text)?.[1]?.trim();
  return (
    (stderr || text)
      .split("\n")
      .filter((line) => line.trim() !== "")
      .at(-1) ?? text
  );
};

/**
 * What a host or a proof said of itself, out of what the engine printed around it.
 * @returns null when nothing was printed
 */
export function failureWords(messages: readonly string[]): string | null {
  const whole = messages.join("\n");
  for (const [line] of whole.matchAll(/^.*\{"(?:ok|baseUrl|error|reached)".*$/gm)) {
    const said = saidIn(line.slice(line.indexOf("{")));
    if (said !== null) return said;
  }
  const lines = whole.split("\n").filter((line) => line.trim() !== "");
  return lines.find((line) => /error|found|refused/i.test(line))?.trim() ?? lines[0]?.trim() ?? null;
}

function saidIn(json: string): string | null {
  try {
    const { ok, error, words } = JSON.parse(json) as {
      ok?: boolean;
      words?: string;
      error?: { message?: string; hint?: string };
    };
    if (ok !== false) return null;
    const said = error?.message ?? words;
    return said === undefined ? null : error?.hint ? `${said}. Next: ${error.hint}` : said;
  } catch {
    return null;
  }
}
