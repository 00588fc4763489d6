/** Who may: keys are known by their SHA-256 alone, and whoever has one may do what it allows, as often as it allows. */
import { hash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { ProxyKey } from "../../infra/spec/proxy-config.ts";
import { Fault } from "../errors/fault.ts";
import { anyone, type Caller } from "./caller.ts";
import { presentedKey } from "./presented-key.ts";
import { type Bucket, take } from "./request-rate.ts";
import { WrongKeys } from "./wrong-keys.ts";

export interface Refusal {
  readonly fault: Fault;
  /** Milliseconds that the answer is held back, so that guessing is slow. */
  readonly delayMs: number;
}

export type Verdict = { readonly caller: Caller } | Refusal;

export interface GatekeeperOptions {
  /** The same array as long as nothing changed: what is derived from it is kept until another one comes. */
  readonly keys: () => readonly ProxyKey[];
  /** Nobody is asked for a key. Said in so many words, because a list of keys that has become empty lets nobody in. */
  readonly anonymous: () => boolean;
  /** Wrong keys of one address in a minute, after which its further ones are answered late. */
  readonly wrongKeys: () => number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** A key as it is compared. */
interface Known {
  readonly key: ProxyKey;
  readonly digest: Buffer;
  /** Milliseconds since the epoch; infinity without an end. */
  readonly expires: number;
  readonly verdict: { readonly caller: Caller };
}

/** Addresses that are remembered for their wrong keys; a few hundred kilobytes. */
const addresses = 4_096;
const letIn: Verdict = { caller: anyone };

export class Gatekeeper {
  readonly #options: GatekeeperOptions;
  readonly #now: () => number;
  readonly #wrong = new WrongKeys(addresses);
  /** By id, so that a reload gives nobody a fresh minute. */
  #buckets = new Map<string, Bucket>();
  #source: readonly ProxyKey[] = [];
  #known: readonly Known[] = [];

  constructor(options: GatekeeperOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Call once for each request: an admitted one counts against its key's requests per minute.
   * @param address of the connection's other end
   * @param accept `basic`: a browser's login box may have sent the key as its password
   */
  admit(headers: IncomingHttpHeaders, address: string, accept: { readonly basic?: boolean } = {}): Verdict {
    if (this.#options.anonymous()) return letIn;
    const presented = presentedKey(headers, accept.basic === true);
    if (presented === undefined) return refusal(missingKey());
    const found = this.#find(hash("sha256", presented, "buffer"));
    if (found === undefined) return this.#wrongKey(address);
    const now = this.#now();
    if (now >= found.expires) return refusal(expiredKey(found.key.id, found.expires));
    const perMinute = found.key.requestsPerMinute;
    if (perMinute !== undefined) {
      const { bucket, waitMs } = take(this.#buckets.get(found.key.id), perMinute, now);
      this.#buckets.set(found.key.id, bucket);
      if (waitMs > 0) return refusal(tooOften(found.key.id, perMinute, waitMs));
    }
    return found.verdict;
  }

  /** Every key is compared, found or not, so that the time says nothing about the position. */
  #find(digest: Buffer): Known | undefined {
    let found: Known | undefined;
    for (const known of this.#current()) if (timingSafeEqual(known.digest, digest)) found = known;
    return found;
  }

  #current(): readonly Known[] {
    const keys = this.#options.keys();
    if (keys === this.#source) return this.#known;
    this.#source = keys;
    this.#known = keys.map(knownOf);
    const ids = new Set(keys.map(({ id }) => id));
    this.#buckets = new Map([...this.#buckets].filter(([id]) => ids.has(id)));
    return this.#known;
  }

  #wrongKey(address: string): Refusal {
    const { delayMs, retryAfter } = this.#wrong.add(address, this.#options.wrongKeys(), this.#now());
    if (retryAfter === undefined) return { fault: unknownKey(), delayMs };
    return { fault: tooManyWrong(retryAfter), delayMs };
  }
}

function knownOf(key: ProxyKey): Known {
  const models = new Set(key.models);
  const unrestricted = models.has("*");
  const caller: Caller = {
    id: key.id,
    mayUse: (model) => unrestricted || models.has(model),
    unrestricted,
    admin: key.admin,
  };
  return {
    key,
    digest: Buffer.from(key.sha256, "hex"),
    expires: key.expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(key.expires),
    verdict: { caller },
  };
}

const refusal = (fault: Fault): Refusal => ({ fault, delayMs: 0 });

const missingKey = (): Fault =>
  new Fault(
    401,
    "missing_api_key",
    'This endpoint needs a key: send it as "Authorization: Bearer KEY" or "x-api-key: KEY".',
  );

const unknownKey = (): Fault =>
  new Fault(401, "invalid_api_key", "This key is not known here. Check it, or ask for a new one.");

const expiredKey = (id: string, since: number): Fault =>
  new Fault(
    401,
    "expired_api_key",
    `The key "${id}" expired at ${new Date(since).toISOString()}. Ask for a new one: "lmstack keys" makes it.`,
  );

function tooOften(id: string, perMinute: number, waitMs: number): Fault {
  const retryAfter = Math.max(1, Math.ceil(waitMs / 1_000));
  return new Fault(
    429,
    "rate_limit_exceeded",
    `The key "${id}" allows ${perMinute} requests per minute, and they are used up. Try again in ${retryAfter} s.`,
    { retryAfter },
  );
}

const tooManyWrong = (retryAfter: number): Fault =>
  new Fault(
    429,
    "too_many_wrong_keys",
    `This key is not known here, and too many wrong ones came from this address. Check the key; a right one is served at once, a wrong one not before ${retryAfter} s of quiet.`,
    { retryAfter },
  );
