/** The bars that the proxy has to reach, and whether it does. */
import type { ContestResult } from "./contest.ts";
import { compared, difference, errorsOf, ratio } from "./figures.ts";

export interface Row {
  readonly name: string;
  readonly value: number | string;
  readonly unit: string;
  readonly bar: string;
  readonly ok: boolean;
}

export const ours = "lmstack";
export const oursStripping = "lmstack, stripping";

interface Limit {
  readonly atLeast?: number;
  readonly atMost?: number;
}

export function judge(name: string, value: number | null, unit: string, digits: number, limit: Limit, of = ""): Row {
  const { atLeast, atMost } = limit;
  const words = [
    ...(atLeast === undefined ? [] : [`at least ${atLeast}`]),
    ...(atMost === undefined ? [] : [`at most ${atMost}`]),
  ].join(", ");
  const bar = `${words} ${unit}${of}`.trim();
  if (value === null || !Number.isFinite(value)) return { name, value: "not measured", unit: "", bar, ok: false };
  const ok = value >= (atLeast ?? Number.NEGATIVE_INFINITY) && value <= (atMost ?? Number.POSITIVE_INFINITY);
  return { name, value: Number(value.toFixed(digits)), unit, bar, ok };
}

const timesNginx = (result: ContestResult, label: string, key: string) => compared(result, label, "nginx", key, ratio);
const overNginx = (result: ContestResult, key: string) => compared(result, ours, "nginx", key, difference);

/** `leastRate` and `mostCpu` as multiples of nginx's. */
export function requestBars(result: ContestResult, leastRate: number, mostCpu?: number): Row[] {
  return [
    judge(`${result.title}: requests/s`, timesNginx(result, ours, "rps"), "x nginx", 2, { atLeast: leastRate }),
    ...(mostCpu === undefined
      ? []
      : [judge(`${result.title}: CPU a request`, timesNginx(result, ours, "cpu"), "x nginx", 2, { atMost: mostCpu })]),
    noErrors(result, ours),
  ];
}

export function streamBars(result: ContestResult): Row[] {
  const over = (key: string, label: string, atMost: number) =>
    judge(`${result.title}: ${label}`, overNginx(result, key), "ms", 3, { atMost }, " over nginx");
  return [
    over("relay50", "relay p50", 0.15),
    over("relay99", "relay p99", 1),
    over("first50", "first token p50", 0.5),
    noErrors(result, ours),
  ];
}

export function firehoseBars(result: ContestResult): Row[] {
  const { title } = result;
  return [
    judge(`${title}: tokens/s`, timesNginx(result, ours, "tps"), "x nginx", 2, { atLeast: 1.1 }),
    judge(`${title}: CPU per token`, timesNginx(result, ours, "cpu"), "x nginx", 2, { atMost: 1 }),
    judge(`${title}, stripping thoughts: tokens/s`, timesNginx(result, oursStripping, "tps"), "x nginx", 2, {
      atLeast: 0.9,
    }),
    noErrors(result, ours, oursStripping),
  ];
}

export function noErrors(result: ContestResult, ...labels: readonly string[]): Row {
  const errors = labels.reduce((sum, label) => sum + errorsOf(result, label), 0);
  return judge(`${result.title}: failed requests`, errors, "", 0, { atMost: 0 });
}
