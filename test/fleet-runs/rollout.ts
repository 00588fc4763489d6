/** One call of `lmstack fleet rollout` under load, and what must be true after it whatever it did. */
import { randomUUID } from "node:crypto";
import { Agent } from "undici";
import type { Row } from "../e2e/rows.ts";
import type { CodexTurn } from "./codex-turn.ts";
import { type Turn, takeTurn } from "./conversations.ts";
import { answersBy, type Declared, summed, wrongWith, wrongWithCodex } from "./judge.ts";
import { type ModelName, modelId, modelOf } from "./models.ts";
import type { Declaration, Place } from "./place.ts";
import { Thread } from "./thread.ts";

export const conversations = 6;

/** Which model each host answers with, asked past the gateway; words where it is none. */
export async function servedBy({ hosts, key }: Place): Promise<readonly string[]> {
  const dispatcher = new Agent();
  const asked = hosts.map(async ({ address }) => {
    let last: Turn | undefined;
    const thread = new Thread(randomUUID(), modelId);
    thread.ask("Who are you?");
    await takeTurn(thread, { url: `http://${address}:8080/v1`, key }, dispatcher, (turn) => {
      last = turn;
    });
    return modelOf(last?.text ?? "") ?? `${last?.end}: ${last?.status} ${last?.words}`;
  });
  const found = await Promise.all(asked);
  await dispatcher.close();
  return found;
}

/** What is not as it should be once a rollout has come to its end: every host serves that model, and nothing is left to do. */
export async function faultsAfter(place: Place, model: ModelName): Promise<string[]> {
  const served = await servedBy(place);
  const faults = place.hosts.flatMap(({ name }, index) =>
    served[index] === model ? [] : [`${name} serves ${served[index]} instead of ${model}`],
  );
  faults.push(...(await place.outOfGateway()).map((host) => `${host} is left out of the gateway`));
  return faults;
}

/** Nothing is left to do for what is declared. */
export async function planFaults({ fleet, inventory }: Place): Promise<string[]> {
  const { exitCode, stdout } = await fleet.run(["fleet", "plan", ...inventory]);
  return exitCode === 0 && stdout.includes("0 to change") ? [] : [`the plan is not empty: ${stdout.trim()}`];
}

export const rollout = async (place: Place, declaration: Declaration, onLine: (line: string) => void) => {
  await place.declare(declaration);
  return await place.fleet.run(["fleet", "rollout", ...place.inventory], onLine);
};

/** What the conversations noticed. */
export function loadRows(turns: readonly Turn[], declared: readonly Declared[]): Row[] {
  const faults = turns.flatMap((turn) => wrongWith(turn, declared) ?? []);
  return [
    {
      name: `requests of ${conversations} conversations that ended`,
      value: turns.length,
      unit: "",
      bar: "> 0",
      ok: turns.length > 0,
    },
    {
      name: "requests lost, cut, or answered by a model that was not declared",
      value: summed(faults) || 0,
      unit: "",
      bar: "0",
      ok: faults.length === 0,
    },
    answersRow("answers by model", turns),
  ];
}

/** What those noticed who worked with the real Codex: everybody has resumed a thread at least once. */
export function codexRows(turns: readonly CodexTurn[], declared: readonly Declared[]): Row[] {
  const faults = turns.flatMap((turn) => wrongWithCodex(turn, declared) ?? []);
  const threads = Map.groupBy(turns, ({ thread }) => thread);
  const resumed = new Set([...threads.values()].flatMap((own) => (own.length > 1 ? own.map(({ user }) => user) : [])));
  const again = turns.reduce((sum, turn) => sum + turn.again, 0);
  return [
    {
      name: `turns with the real Codex, of ${conversations} people in ${threads.size} threads`,
      ...{ value: turns.length, unit: "", bar: "each resumes", ok: resumed.size === conversations },
    },
    {
      name: "turns that ended badly, showed an error or a reconnect, or had an answer of a model that was not declared",
      ...{ value: summed(faults) || 0, unit: "", bar: "0", ok: faults.length === 0 },
    },
    { name: "requests that Codex sent again without a word", value: again, unit: "", bar: "0", ok: again === 0 },
    answersRow(
      "answers to Codex by model",
      turns.map(({ text }) => ({ text, called: false })),
    ),
  ];
}

function answersRow(name: string, turns: Parameters<typeof answersBy>[0]): Row {
  const value = Object.entries(answersBy(turns)).map(([model, count]) => `${model} ${count}`);
  return { name, value: value.join(", "), unit: "", bar: "told", ok: true };
}
