/** A large file to many hosts, simulated: undisturbed, and with hosts that vanish in the middle or are slow. */
import { performance } from "node:perf_hooks";
import { type Member, planSpread } from "../../infra/fleet/distribution.ts";
import { mustHold, type Row } from "../e2e/rows.ts";
import { Random } from "../proxy-runs/random.ts";
import { type SiteOptions, type Spread, simulate } from "./simulate.ts";

export interface SpreadOptions {
  readonly hosts: number;
  readonly gigabytes: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

/** 10 GbE, one processor's SHA-256 with its own instructions for it, and a request through Node. */
const site = { linkBytesPerSecond: 1.25e9, digestBytesPerSecond: 1.8e9, latencySeconds: 0.001 };
const troubled = 0.05;

export function runSpread({ hosts, gigabytes, seed, say }: SpreadOptions): Row[] {
  const calm = { ...site, hosts, bytes: gigabytes * 1e9, vanishing: new Set<number>(), slow: new Set<number>() };
  const random = new Random(seed);
  const some = () => new Set(Array.from({ length: Math.ceil(hosts * troubled) }, () => 1 + random.below(hosts - 1)));
  const share = `${troubled * 100} % of the hosts`;
  const copySeconds = calm.bytes / site.linkBytesPerSecond;
  const run = (name: string, options: SiteOptions, most: number): Row[] => {
    say(`${hosts} hosts, ${gigabytes} GB, ${name}`);
    return rowsOf(name, simulate(options), copySeconds, most);
  };
  return [
    planning(hosts),
    ...run("undisturbed", calm, 3),
    ...run(`${share} vanish half-way`, { ...calm, vanishing: some() }, 5),
    ...run(`${share} on a tenth of the link`, { ...calm, slow: some() }, 3),
  ];
}

function rowsOf(name: string, spread: Spread, copySeconds: number, most: number): Row[] {
  const times = spread.seconds / copySeconds;
  const rounds = `${spread.rounds} ${spread.rounds === 1 ? "round" : "rounds"}`;
  return [
    {
      name: `${name}: all hosts with the whole link have it`,
      value: Number(times.toFixed(2)),
      unit: `times one copy's time (${spread.seconds.toFixed(1)} s, ${rounds})`,
      bar: `at most ${most}`,
      ok: times <= most,
    },
    {
      name: `${name}: the origin sends`,
      value: Number(spread.originCopies.toFixed(2)),
      unit: `copies (most of one host: ${spread.mostSent.toFixed(2)})`,
      bar: "at most 1.2",
      ok: spread.originCopies <= 1.2,
    },
    mustHold(`${name}: every host that is still there has it`, spread.served === 1, `${spread.served * 100} %`),
  ];
}

function planning(hosts: number): Row {
  const members = Array.from({ length: hosts }, (_, index): Member => {
    return { host: `box${index}`, site: "", has: false, urls: ["https://origin/file"], model: "m" };
  });
  const started = performance.now();
  planSpread(members);
  const value = Number((performance.now() - started).toFixed(1));
  return { name: `plan for ${hosts} hosts`, value, unit: "ms", bar: "at most 1000 ms", ok: value <= 1000 };
}
