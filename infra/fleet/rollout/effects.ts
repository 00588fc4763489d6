/** What a rollout needs from the world: each method is one thing done to one host, or one look at it. */
import type { Reading } from "../metrics.ts";
import type { SeenHost } from "../plan.ts";
import type { Journal, SpecText } from "./journal.ts";

/** Takes a host out of the endpoint that clients use, and puts it back. Both may be called again without harm. */
export interface Gateway {
  /** Ends when no request runs there any more, or after `limitSeconds`, whatever runs. Nothing new goes there from the first moment on. */
  drain(host: string, limitSeconds: number): Promise<void>;
  undrain(host: string): Promise<void>;
}

/** One thing that is true of many runners at once: changes come one after the other, whoever makes them. */
export interface JournalStore {
  read(): Promise<Journal>;
  /** @param change sees the newest journal; what it throws leaves the journal as it is, and is thrown here */
  change(change: (journal: Journal) => Journal): Promise<Journal>;
}

/** Say what is going on, in short lines. */
export type Say = (words: string) => void;

export interface Lacking {
  /** Ids of models whose file `up` would fetch, by host; hosts that are not in it are left alone. */
  readonly models: ReadonlyMap<string, ReadonlySet<string>>;
  /** Where it is not what the inventory says. */
  readonly specs: ReadonlyMap<string, SpecText>;
  /** Most that a host sends to the others. */
  readonly hostBytesPerSecond: number | undefined;
}

export interface Brought {
  readonly hosts: readonly string[];
  /** Hosts that still lack a file, and why: their `up` fetches it. */
  readonly left: ReadonlyMap<string, string>;
}

export interface Preview {
  /** How many resources would be created, updated, replaced… */
  readonly changes: Readonly<Record<string, number>>;
  /** The spec of the last `up` that ended well, by whomever; null where there was none. */
  readonly lastGood: SpecText | null;
}

export interface Effects {
  readonly gateway: Gateway | null;
  readonly journal: JournalStore;
  /** @param known specs by their digest, among which the last good one may be @throws HostFault */
  preview(host: string, spec: SpecText, known: Journal["specs"]): Promise<Preview>;
  /** Brings files to the hosts that lack them, from others that have them, as far as that can be. */
  spread(lacking: Lacking, tell: (host: string, words: string) => void): Promise<Brought>;
  /** `pulumi up` of the host's stack with this spec, proofs included. @throws HostFault */
  up(host: string, spec: SpecText, say: Say): Promise<void>;
  /** Never throws: what cannot be seen is told in the refusal. */
  look(host: string, spec: SpecText): Promise<SeenHost>;
  /** Null when the proxy does not tell. */
  measure(host: string, spec: SpecText): Promise<Reading | null>;
  now(): Temporal.Instant;
  /** Ends early when `signal` is aborted, without an error. */
  wait(seconds: number, signal: AbortSignal): Promise<void>;
}

/** Why something did not come about on a host, for people. */
export class HostFault extends Error {}
