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
export const oursStripping = "lmstack, thoughts taken out";

interface Limit {
  readonly atLeast?: number;
  readonly atMost?: number;
}

export function judge(name: string, value: number | null, unit: string, digits: number, limit: Limit): Row {
  const { atLeast, atMost } = limit;
  const words = [
    ...(atLeast === undefined ? [] : [`at least ${atLeast}`]),
    ...(atMost === undefined ? [] : [`at most ${atMost}`]),
  ].join(", ");
  const bar = `${words} ${unit}`.trim();
  if (value === null || !Number.isFinite(value)) return { name, value: "not measured", unit: "", bar, ok: false };
  const ok = value >= (atLeast ?? Number.NEGATIVE_INFINITY) && value <= (atMost ?? Number.POSITIVE_INFINITY);
  return { name, value: Number(value.toFixed(digits)), unit, bar, ok };
}

function timesNginx(result: ContestResult, label: string, key: string, name: string, limit: Limit): Row {
  return judge(name, compared(result, label, "nginx", key, ratio), "x nginx", 2, limit);
}

/** `rps` at least and `cpu` at most, as multiples of nginx's. */
export function requestBars(result: ContestResult, bar: { readonly rps: number; readonly cpu?: number }): Row[] {
  const { title } = result;
  const cpu =
    bar.cpu === undefined ? [] : [timesNginx(result, ours, "cpu", `${title}: CPU a request`, { atMost: bar.cpu })];
  return [
    timesNginx(result, ours, "rps", `${title}: requests/s`, { atLeast: bar.rps }),
    ...cpu,
    noErrors(result, ours, "nginx"),
  ];
}

export function streamBars(result: ContestResult): Row[] {
  const over = (key: string, label: string, atMost: number) =>
    judge(`${result.title}: ${label}`, compared(result, ours, "nginx", key, difference), "ms over nginx", 3, {
      atMost,
    });
  return [
    over("relay50", "relay p50", 0.15),
    over("relay99", "relay p99", 1),
    over("first50", "first token p50", 0.5),
    noErrors(result, ours, "nginx"),
  ];
}

export function firehoseBars(result: ContestResult): Row[] {
  const { title } = result;
  return [
    timesNginx(result, ours, "tps", `${title}: tokens/s`, { atLeast: 1.1 }),
    timesNginx(result, ours, "cpu", `${title}: CPU per token`, { atMost: 1 }),
    timesNginx(result, oursStripping, "tps", `${title}, thoughts taken out: tokens/s`, { atLeast: 0.9 }),
    noErrors(result, ours, oursStripping, "nginx"),
  ];
}

/** Also of nginx: a ratio to somebody who fails says nothing. */
export function noErrors(result: ContestResult, ...labels: readonly string[]): Row {
  const errors = labels.reduce((sum, label) => sum + errorsOf(result, label), 0);
  return judge(`${result.title}: failed requests`, errors, "", 0, { atMost: 0 });
}
