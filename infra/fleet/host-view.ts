/** One host's load as it goes on: each reading with what happened since the one before. */
import type { Keys } from "../proxy/keys.ts";
import { askMetrics } from "./ask-metrics.ts";
import type { FleetHost } from "./compose.ts";
import { type Rates, type Reading, ratesBetween } from "./metrics.ts";
import type { Refusal } from "./plan.ts";
import { refusalOf } from "./refusal.ts";

export interface HostView {
  readonly host: string;
  /** Null while it does not answer, and before the first answer. */
  readonly reading: Reading | null;
  /** Null until there are two readings. */
  readonly rates: Rates | null;
  /** Null when it answers, and before it was asked. */
  readonly silence: Refusal | null;
}

/**
 * Never ends by itself: a host that says nothing now may do so later.
 * @param keysOf asked until it gives the values of the host's keys
 */
export async function* viewsOf(
  { name, spec }: Pick<FleetHost, "name" | "spec">,
  keysOf: () => Promise<Keys>,
  pause: () => Promise<void>,
  ended?: AbortSignal,
): AsyncGenerator<HostView, never> {
  let keys: Keys | undefined;
  let before: Reading | undefined;
  for (;;) {
    try {
      keys ??= await keysOf();
      const reading = await askMetrics(spec, keys, ended);
      yield { host: name, reading, rates: before ? ratesBetween(before, reading) : null, silence: null };
      before = reading;
    } catch (error) {
      yield { host: name, reading: null, rates: null, silence: refusalOf(name, error) };
    }
    await pause();
  }
}
