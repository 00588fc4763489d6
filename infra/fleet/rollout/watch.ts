/** Whether a host does its work as well as before the change, by what its proxy counts. Pure. */
import type { Policy } from "../inventory.ts";
import { type Rates, type Reading, ratesBetween } from "../metrics.ts";

/** Tokens a second of one stream, by model. */
export type Paces = Readonly<Record<string, number>>;

/** Fewer tokens say nothing about speed. */
const telling = 20;

/**
 * How fast a host was: since `first` where enough was said since, else as it was last proved, else since its proxy began. The proxy's sums alone would not
 * do: a slow model that was taken back an hour ago would make another one as slow look right.
 */
export function pacesOf(first: Reading | null, now: Reading, proved: Paces): Paces {
  return { ...toldSince(beginning(now), now), ...proved, ...(first ? toldSince(first, now) : {}) };
}

const toldSince = (first: Reading, now: Reading): Paces =>
  Object.fromEntries(
    Object.entries(ratesBetween(first, now).models).flatMap(([id, { pace, paced }]) =>
      pace !== null && paced >= telling ? [[id, pace] as const] : [],
    ),
  );

/** Before anything that this proxy counted. */
export const beginning = (reading: Reading): Reading => ({ ...reading, since: -1, at: reading.at - 1 });

/** Of what was asked of a host, this share may fail whatever failed before. */
const harmless = 0.01;

/**
 * @param before of the time before the change; a model that was not served then is held against the slowest that was
 * @returns what is wrong, or null
 */
export function tooSlow(before: Paces, rates: Rates, policy: Policy): string | null {
  const share = Number.parseInt(policy.leastSpeed, 10) / 100;
  const slowest = Math.min(...Object.values(before));
  for (const [model, { pace, paced }] of Object.entries(rates.models)) {
    const usual = before[model] ?? slowest;
    if (pace !== null && paced >= telling && Number.isFinite(usual) && pace < usual * share)
      return `${model} gives ${figure(pace)} tokens a second, ${figure(usual)} before the change, and at least ${policy.leastSpeed} of that are asked for (rollout.leastSpeed)`;
  }
  return null;
}

const figure = (value: number): string => value.toFixed(value < 10 ? 1 : 0);

export interface Watched {
  readonly paces: Paces;
  /** Share of requests that failed before the change. */
  readonly errors: number;
  /** At the beginning of the watch, and now; null when the proxy did not tell. */
  readonly first: Reading | null;
  readonly last: Reading | null;
}

export function wrongIn({ paces, errors, first, last }: Watched, policy: Policy): string | null {
  if (last === null) return first === null ? null : "its proxy has stopped answering";
  if (!last.ready) return "it is not ready any more: a declared model is not loaded";
  if (first === null) return null;
  const rates = ratesBetween(first, last);
  const failed = rates.requests > 0 ? rates.errors / rates.requests : Math.min(1, rates.errors);
  if (failed > Math.max(harmless, 2 * errors))
    return `${rates.errors} of ${rates.requests} requests failed, and before the change ${(errors * 100).toFixed(1)} % did`;
  const thinker = Object.entries(rates.models).find(([, { thoughts }]) => thoughts > 0);
  if (thinker) return `${thinker[0]} thinks although it should not`;
  return tooSlow(paces, rates, policy);
}

export const errorShareOf = ({ requests, errors }: Reading): number => (requests > 0 ? errors / requests : 0);
