/** Which faults come, in which order: decided by the seed alone. */
import { Random } from "../proxy-runs/random.ts";

export interface Planned<K> {
  readonly kind: K;
  /** From 0 to 1: the moment within what the fault interrupts, where that matters. */
  readonly moment: number;
}

/** Every kind comes once before any comes again. */
export function sequence<K>(kinds: readonly K[], count: number, seed: number): Planned<K>[] {
  const random = new Random(seed);
  const planned: Planned<K>[] = [];
  let left: K[] = [];
  while (planned.length < count && kinds.length > 0) {
    if (left.length === 0) left = [...kinds];
    const [kind] = left.splice(random.below(left.length), 1);
    planned.push({ kind: kind as K, moment: random.next() });
  }
  return planned;
}
