/** Models that must not come through: each is stopped at the canary, taken back without a person, and nobody notices. */
import type { Row } from "../e2e/rows.ts";
import { Conversations } from "./conversations.ts";
import { wordsOf } from "./fleet-command.ts";
import { summed, wrongWith } from "./judge.ts";
import { type Declaration, openPlace, type Place } from "./place.ts";
import { conversations, faultsAfter, planFaults, rollout } from "./rollout.ts";
import type { Scenario } from "./scenario.ts";

interface BadModel {
  readonly what: string;
  readonly declaration: Declaration;
  /** Words of the reason that the command gives. */
  readonly says: RegExp;
}

const kinds: Readonly<Record<string, BadModel>> = {
  "bad-checksum": {
    what: "a model whose file has another checksum",
    declaration: { model: "B", sha256: "0".repeat(64) },
    says: /sha256|checksum/i,
  },
  thinks: { what: "a model that thinks", declaration: { model: "thinks" }, says: /think|thought|reasoning/i },
  slow: { what: "a model that is six times slower", declaration: { model: "slow" }, says: /tokens|slow/i },
  crashes: {
    what: "a model that crashes at its third request",
    declaration: { model: "crashes" },
    says: /LM Studio does not answer/,
  },
};

export const badModels: Readonly<Record<string, Scenario>> = Object.fromEntries(
  Object.entries(kinds).map(([name, bad]): [string, Scenario] => [
    name,
    {
      what: `${bad.what} is stopped at the canary`,
      times: 10,
      rows: async ({ times, say }) => {
        await using place = await openPlace(name, { say, mac: false });
        return [await badRow(place, bad, times, say)];
      },
    },
  ]),
);

async function badRow(place: Place, bad: BadModel, times: number, say: (line: string) => void): Promise<Row> {
  const wrong: string[] = [];
  let right = 0;
  for (let time = 1; time <= times; time += 1) {
    const faults = await tryBad(place, bad, say);
    say(`${bad.what}, ${time} of ${times}: ${faults.join("; ") || "taken back"}`);
    if (faults.length === 0) right += 1;
    wrong.push(...faults);
  }
  const name = `${bad.what}: stopped at the canary, taken back by itself, nobody noticed`;
  const value = wrong.length === 0 ? right : `${right}: ${summed(wrong)}`;
  return { name, value, unit: "", bar: `${times} of ${times}`, ok: right === times };
}

/** @returns what was not as promised */
export async function tryBad(place: Place, kind: BadModel | string, say: (line: string) => void): Promise<string[]> {
  const { declaration, says } = typeof kind === "string" ? (kinds[kind] as BadModel) : kind;
  await using load = new Conversations(conversations, () => place.baseUrl, place.key);
  const others = place.hosts.slice(1);
  const before = await Promise.all(others.map(changesOf));
  const began = Date.now();
  const ended = await rollout(place, declaration, say);
  const over = Date.now();
  const faults = await faultsAfter(place, "A");
  if (ended.exitCode !== 1) faults.unshift(`it ended with ${ended.exitCode}: ${wordsOf(ended)}`);
  else if (!says.test(wordsOf(ended))) faults.unshift(`it does not say why: ${wordsOf(ended)}`);
  const after = await Promise.all(others.map(changesOf));
  if (after.join() !== before.join()) faults.push("more than the canary was changed");
  await place.declare({ model: "A" });
  faults.push(...(await planFaults(place)));
  await load.stop();
  const declared = [
    { model: "A", from: 0, to: Number.MAX_SAFE_INTEGER },
    { model: declaration.model, from: began, to: over },
  ] as const;
  return [...faults, ...load.take().flatMap((turn) => wrongWith(turn, declared) ?? [])];
}

/** What hostctl wrote down of changes that it made. */
const changesOf = async (host: Place["hosts"][number]): Promise<string> =>
  (await host.exec("cat ~/.lmstack/logs/changes.log", { reject: false })).stdout;
