/** One host brought to a spec: out of the gateway, `up`, looked at, back into the gateway. */

import type { Policy } from "../inventory.ts";
import { ratesBetween } from "../metrics.ts";
import type { SeenHost } from "../plan.ts";
import { type Effects, HostFault } from "./effects.ts";
import type { Happening } from "./events.ts";
import type { SpecText } from "./journal.ts";
import { beginning, type Paces, tooSlow } from "./watch.ts";

/** What runs there may go on for so long; the change itself cuts no request either. */
const drainSeconds = 600;

export type Emit = (happening: Happening) => void;

/**
 * Fails with the host still out of the gateway, so that nobody is sent to what does not work.
 * @param paces before the change; null for a way back, on which slow is good enough
 * @throws HostFault
 */
export async function bring(
  effects: Effects,
  host: string,
  spec: SpecText,
  paces: Paces | null,
  policy: Policy,
  emit: Emit,
): Promise<void> {
  const { gateway } = effects;
  const doing = (what: Extract<Happening, { event: "host" }>["doing"]) => emit({ event: "host", host, doing: what });
  if (gateway) doing("draining");
  await gateway?.drain(host, drainSeconds).catch((error: Error) => {
    // Back to what works is worth more than a quiet moment for it.
    if (paces !== null) throw error;
    emit({ event: "words", host, words: error.message });
  });
  const before = paces && (await effects.measure(host, spec));
  doing("updating");
  await effects.up(host, spec, (words) => emit({ event: "words", host, words }));
  doing("proving");
  const wrong = wrongWith(await effects.look(host, spec));
  if (wrong !== null) throw new HostFault(wrong);
  const after = paces && (await effects.measure(host, spec));
  const slow = after && paces && tooSlow(paces, ratesBetween(before ?? beginning(after), after), policy);
  if (slow) throw new HostFault(slow);
  if (gateway) doing("undraining");
  await gateway?.undrain(host);
}

export function wrongWith({ refusal, failed, available, steps }: SeenHost): string | null {
  if (refusal) return `${refusal.why}. Next: ${refusal.next}`;
  if (failed !== null) return failed;
  if (!available) return "it does not answer clients after the change";
  return steps.length === 0
    ? null
    : `after the change it is not as declared: ${steps.map(({ resource }) => resource).join(", ")}`;
}
