/** The gateway by itself: how much it costs, and what clients notice of hosts that die, come and go. The hosts are played; HAProxy and the proxy are real. */
import { readMachine, warningOf } from "../../bench/machine.ts";
import { mustHold, type Row } from "../e2e/rows.ts";
import { measureSpeed, middle, type Speed } from "../gateway/speed.ts";
import { type Killed, killUnderStreams, turnsWhileHostsComeAndGo } from "../gateway/trials.ts";
import type { Options, Scenario } from "./scenario.ts";

const streams = 50;

export const gateway: Scenario = {
  what: "48 KB bodies through HAProxy and the proxy; a host killed under 50 streams; turns while hosts come and go",
  times: 10,
  rows: async ({ times, say }: Options): Promise<readonly Row[]> => {
    const warning = warningOf(readMachine());
    if (warning !== undefined) say(warning);
    const apart = await measureSpeed("apart", 2 * times, 2_000, say);
    const together = await measureSpeed("together", 2 * times, 2_000, say);
    const killed: Killed[] = [];
    const turns = { kept: 0, moved: 0 };
    for (let time = 1; time <= times; time++) {
      killed.push(await killUnderStreams(streams));
      const { kept, moved } = await turnsWhileHostsComeAndGo(100);
      turns.kept += kept;
      turns.moved += moved;
      say(`hosts killed and hosts that came and went: ${time} of ${times}`);
    }
    const sum = (of: keyof Killed): number => killed.reduce((total, one) => total + one[of], 0);
    const { cpu } = together;
    const errors = apart.errors + together.errors;
    const slowest = Math.max(...killed.map(({ slowestMs }) => slowestMs));
    const share = (100 * turns.kept) / (turns.kept + turns.moved);
    const kills = `${times} hosts killed under ${streams} streams each`;
    return [
      speedRow("the proxy's core being the limit", apart, 0.9),
      speedRow("clients, stand-in, HAProxy and proxy on the same cores", together, null),
      {
        name: `CPU of HAProxy for one of them, beside the proxy's (${Math.round(cpu.alone)} µs)`,
        ...{ value: Number((cpu.gateway / cpu.alone).toFixed(2)), unit: "x", bar: "at most 1" },
        ok: cpu.gateway <= cpu.alone,
      },
      mustHold("no request of these fails", errors === 0, `${errors} failed`),
      mustHold(
        `${kills}: each of its own streams ends with a typed error`,
        sum("untold") === 0,
        `${sum("own")} streams`,
      ),
      mustHold(`${kills}: no other stream ends`, sum("cut") === 0, `${sum("cut")} of ${sum("others")}`),
      mustHold(`${kills}: no new request is lost`, sum("lost") === 0, `${sum("lost")} of ${times * streams}`),
      {
        name: "the slowest request after a kill",
        ...{ value: Math.round(slowest), unit: "ms", bar: "at most 2000", ok: slowest <= 2_000 },
      },
      {
        name: "turns that find the host of the turn before, while hosts come and go",
        ...{ value: Number(share.toFixed(2)), unit: "%", bar: "at least 99", ok: share >= 99 },
      },
    ];
  },
};

function speedRow(where: string, { ratios, alone, through }: Speed, bar: number | null): Row {
  const ratio = middle(ratios);
  const rates = `(${Math.round(through)}/s), beside the proxy alone (${Math.round(alone)}/s)`;
  return {
    name: `48 KB through HAProxy and the proxy ${rates}, ${where}`,
    ...{ value: Number(ratio.toFixed(2)), unit: "x", bar: bar === null ? "told" : `at least ${bar}` },
    ok: bar === null || ratio >= bar,
  };
}
