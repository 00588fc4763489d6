/** From the samples of rounds to the figures of the table: medians with their spread, and ratios within a round. */
import type { ContestResult, Sample } from "./contest.ts";
import { type Spread, spread } from "./statistics.ts";

export interface Metric {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  readonly digits: number;
}

export const requestMetrics: readonly Metric[] = [
  { key: "rps", label: "requests/s", unit: "1/s", digits: 0 },
  { key: "p50", label: "p50", unit: "ms", digits: 2 },
  { key: "p99", label: "p99", unit: "ms", digits: 2 },
  { key: "cpu", label: "CPU a request", unit: "µs", digits: 0 },
  { key: "rss", label: "memory", unit: "MB", digits: 0 },
  { key: "busy", label: "load side busy", unit: "%", digits: 0 },
];

export const streamMetrics: readonly Metric[] = [
  { key: "tps", label: "tokens/s", unit: "1/s", digits: 0 },
  { key: "relay50", label: "relay p50", unit: "ms", digits: 3 },
  { key: "relay99", label: "relay p99", unit: "ms", digits: 3 },
  { key: "first50", label: "first token p50", unit: "ms", digits: 2 },
  { key: "cpu", label: "CPU per 1000 tokens", unit: "ms", digits: 1 },
  { key: "rss", label: "memory", unit: "MB", digits: 0 },
  { key: "busy", label: "load side busy", unit: "%", digits: 0 },
];

export interface Figure extends Spread {
  readonly row: string;
  readonly peer: string;
  readonly metric: string;
  readonly unit: string;
  /** Median of the rounds' ratios. */
  readonly toDirect: number | null;
  readonly toNginx: number | null;
}

export function figuresOf(result: ContestResult, metrics: readonly Metric[]): Figure[] {
  return [...result.samples.keys()].flatMap((peer) =>
    metrics.map(({ key, label, unit }) => ({
      row: result.name,
      peer,
      metric: label,
      unit,
      ...spread(valuesOf(result, peer, key)),
      toDirect: compared(result, peer, "direct", key, ratio),
      toNginx: compared(result, peer, "nginx", key, ratio),
    })),
  );
}

export const ratio = (own: number, other: number) => own / other;
export const difference = (own: number, other: number) => own - other;

/** The median of what `how` says of the two in each round; null where one of them did not take part or there is nothing to divide by. */
export function compared(
  { samples }: ContestResult,
  label: string,
  other: string,
  key: string,
  how: (own: number, other: number) => number,
): number | null {
  const own = samples.get(label) ?? [];
  const others = samples.get(other) ?? [];
  const perRound = own.flatMap((sample, round) => {
    const beside = others[round];
    return beside === undefined ? [] : [how(numberOf(sample, key), numberOf(beside, key))];
  });
  const { median } = spread(perRound);
  return Number.isFinite(median) ? median : null;
}

export function errorsOf({ errors }: ContestResult, label: string): number {
  return errors.get(label) ?? 0;
}

function valuesOf({ samples }: ContestResult, label: string, key: string): number[] {
  return (samples.get(label) ?? []).map((sample) => numberOf(sample, key));
}

function numberOf(sample: Sample, key: string): number {
  return sample.values[key] ?? Number.NaN;
}
