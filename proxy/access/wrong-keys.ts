/**
 * Guessing made slow, by address. Only wrong keys are counted and only their answers are late: behind one address there may be a whole office,
 * and a right key from it is served as if nothing had happened.
 */
import { isIPv6 } from "node:net";

/** Wrong keys of one address that came without a minute's pause between any two. */
export interface Guesses {
  readonly count: number;
  /** Milliseconds, of the last one. */
  readonly at: number;
}

export interface Slowed {
  /** How long the answer is held back. */
  readonly delayMs: number;
  /** Seconds after which the address is as good as new; present once it is refused outright. */
  readonly retryAfter?: number;
}

const forgottenMs = 60_000;
const firstDelayMs = 250;
const longestDelayMs = 5_000;
/** Times the limit after which a wrong key is no longer even told to be one. */
const refusedTimes = 5;

/** Pure: one more wrong key. A clock that was set back does not forget. */
export function guessed(before: Guesses | undefined, now: number): Guesses {
  if (before === undefined || now - before.at >= forgottenMs) return { count: 1, at: now };
  return { count: before.count + 1, at: now };
}

/** Pure: what becomes of the answer to the last of these, when `limit` of them are free. The refused wait longest: guessing must not get faster again. */
export function slowed(count: number, limit: number): Slowed {
  if (count <= limit) return { delayMs: 0 };
  const delayMs = Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(16, count - limit - 1));
  if (count <= limit * refusedTimes) return { delayMs };
  return { delayMs: longestDelayMs, retryAfter: forgottenMs / 1_000 };
}

/** One subscriber's: an IPv4 address, or the first half of an IPv6 one, which is what a single household gets. */
export function neighbourhood(address: string): string {
  const plain = address.replace(/%.*$/, "");
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(plain)) return plain;
  const [front = "", back] = plain.split("::") as [string, string | undefined];
  const groups = front === "" ? [] : front.split(":");
  if (back !== undefined) {
    const rest = back === "" ? [] : back.split(":");
    // An IPv4 form at the end stands for two groups.
    const width = rest.length + (back.includes(".") ? 1 : 0);
    while (groups.length + width < 8) groups.push("0");
    groups.push(...rest);
  }
  const half = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${half.join(":")}::/64`;
}

/** The guesses of all addresses, the last `size` of them. */
export class WrongKeys {
  readonly #size: number;
  /** In the order of their last guess. */
  readonly #byAddress = new Map<string, Guesses>();

  constructor(size: number) {
    this.#size = size;
  }

  /** Counts one more wrong key. */
  add(address: string, limit: number, now: number): Slowed {
    const place = neighbourhood(address);
    const guesses = guessed(this.#byAddress.get(place), now);
    this.#byAddress.delete(place);
    this.#byAddress.set(place, guesses);
    if (this.#byAddress.size > this.#size) {
      for (const oldest of this.#byAddress.keys()) {
        this.#byAddress.delete(oldest);
        break;
      }
    }
    return slowed(guesses.count, limit);
  }

  get addresses(): number {
    return this.#byAddress.size;
  }
}
