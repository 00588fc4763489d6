/** Plays scenarios, each in a place of its own, with or without a fault, and says in a row how each ended. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Row } from "../e2e/rows.ts";
import type { Ending } from "./codex.ts";
import { type Fault, type FaultSizes, struck } from "./faults.ts";
import { asAgent } from "./model.ts";
import { openPlace, type Place } from "./place.ts";
import type { Scenario } from "./scenarios.ts";

export interface Play {
  readonly scenario: Scenario;
  readonly fault?: Fault;
  readonly sizes: FaultSizes;
  /** After which a use of Codex is ended by force and counts as hung. */
  readonly seconds: number;
}

export async function playRow(play: Play): Promise<Row> {
  const { scenario, fault } = play;
  const started = performance.now();
  const wrong = await played(play).catch((error: unknown) => [`it broke off: ${String(error)}`]);
  const name = fault === undefined ? scenario.name : `${scenario.name} with ${fault.name}`;
  const bar = fault === undefined ? "exit 0, its effects once" : "ends, says why, effects at most once";
  const took = Number(((performance.now() - started) / 1_000).toFixed(1));
  return wrong.length === 0
    ? { name, value: took, unit: "s", bar, ok: true }
    : { name, value: wrong.join("; "), unit: "", bar, ok: false };
}

async function played({ scenario, fault, sizes, seconds }: Play): Promise<readonly string[]> {
  let strike = (): void => {};
  await using place = await openPlace({
    agent: struck(asAgent(scenario.model), fault, () => strike()),
    contextLength: scenario.contextLength ?? 200_000,
    search: scenario.search ?? false,
    vision: scenario.vision ?? false,
    slots: fault?.slots ?? 4,
    loaded: fault?.loaded ?? true,
    toml: scenario.toml ?? (() => ""),
  });
  let over: Promise<void> | undefined;
  strike = () => {
    over ??= fault?.strike?.(place, sizes);
  };
  await scenario.prepare?.(place.work);
  const after = await fault?.before?.(place, sizes);
  const endings = await scenario.play(place, seconds);
  await after?.();
  await over;
  const missed = fault?.strike !== undefined && over === undefined ? ["the fault did not strike"] : [];
  const found = [...missed, ...(await general(place, endings)), ...(fault === undefined ? refusals(place) : [])];
  const done = await lines(place);
  if (fault !== undefined && endings.some(({ exitCode }) => exitCode !== 0)) {
    return [...found, ...stopped(endings, fault), ...beginning(done, scenario.effects)];
  }
  const ends = endings.every(({ exitCode }) => exitCode === 0) ? [] : [`exit ${exits(endings)}: ${tail(endings)}`];
  const lesser = fault === undefined ? undefined : scenario.lesserEffects?.join();
  const same = done.join() === scenario.effects.join() || done.join() === lesser;
  const effects = same ? [] : [`effects are ${done.join() || "none"} instead of ${scenario.effects.join()}`];
  return [...found, ...ends, ...effects, ...((await scenario.wrong?.(place, endings)) ?? [])];
}

/** What must hold however it ends. */
async function general({ sim, proxy }: Place, endings: readonly Ending[]): Promise<readonly string[]> {
  const said = endings.map(({ log, answer }) => log + answer).join("\n");
  const told = sim.bodies("/v1/responses").some((body) => JSON.stringify(body.input).includes("unsupported call"));
  const broken = proxy.crash ?? proxy.internalErrors[0] ?? (proxy.errorText === "" ? undefined : proxy.errorText);
  return [
    ...(endings.some(({ exitCode }) => exitCode === null) ? [`Codex hung: ${tail(endings)}`] : []),
    ...(/metadata for .* not found|Defaulting to fallback metadata/.test(said) ? ["Codex misses metadata"] : []),
    ...(told || said.includes("unsupported call") ? ["Codex found a call unsupported"] : []),
    ...(broken === undefined ? [] : [`the proxy: ${broken.slice(0, 500)}`]),
  ];
}

/** Nothing that Codex asks for is refused behind the proxy. */
function refusals({ sim }: Place): readonly string[] {
  return sim
    .journal()
    .flatMap((entry) => (entry.event === "refuse" ? [`LM Studio refused with ${entry.status}: ${entry.message}`] : []));
}

/** Codex has given up: with a message that names the cause. */
function stopped(endings: readonly Ending[], { cause }: Fault): readonly string[] {
  const last = endings.find(({ exitCode }) => exitCode !== 0);
  const errors = (last?.log ?? "").split("\n").filter((line) => line.includes("ERROR"));
  return errors.some((line) => cause.test(line)) ? [] : [`stopped without naming the cause: ${tail(endings)}`];
}

function beginning(done: readonly string[], expected: readonly string[]): readonly string[] {
  return done.every((line, index) => line === expected[index])
    ? []
    : [`effects are ${done.join()}, not in order and once`];
}

async function lines({ work }: Place): Promise<readonly string[]> {
  const text = await readFile(join(work, "effects.log"), "utf8").catch(() => "");
  return text.split("\n").filter((line) => line !== "");
}

const exits = (endings: readonly Ending[]): string => endings.map(({ exitCode }) => exitCode ?? "by force").join();

const tail = (endings: readonly Ending[]): string =>
  (endings.find(({ exitCode }) => exitCode !== 0)?.log ?? "").trim().split("\n").slice(-6).join(" | ").slice(-1_000);
