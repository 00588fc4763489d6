/** What may happen to LM Studio while Codex works, set off at a point of the conversation and not at a time. */
import { setTimeout } from "node:timers/promises";
import type { Piece } from "../lmstudio-sim/engine/engine.ts";
import type { Agent } from "../lmstudio-sim/model.ts";
import { neighbourTask } from "./model.ts";
import { model, type Place } from "./place.ts";

export interface FaultSizes {
  /** How long a model takes to load. */
  readonly loadSeconds: number;
  /** How long LM Studio or the model is away. */
  readonly awaySeconds: number;
}

export interface Fault {
  readonly name: string;
  readonly what: string;
  readonly slots?: number;
  readonly loaded?: boolean;
  /** Before Codex comes; what it returns is done after it has gone. */
  readonly before?: (place: Place, sizes: FaultSizes) => Promise<() => Promise<void>>;
  /** At the first piece of the second answer's text, at the end of the second answer, or at that of the first. */
  readonly at?: "in-words" | "after-call" | "between";
  readonly strike?: (place: Place, sizes: FaultSizes) => Promise<void>;
  /** A message that Codex stops with must have it. */
  readonly cause: RegExp;
}

/** What the supervisor of a host does: `loadSeconds` go by until the model is there. */
async function load({ sim }: Place, seconds: number): Promise<void> {
  const downloaded = sim.instances.options.catalog().find(({ modelKey }) => modelKey === model);
  if (downloaded === undefined) throw new Error(`no model ${model}`);
  await setTimeout(seconds * 1_000);
  await sim.instances.load({ model: downloaded });
}

async function killed(place: Place, { awaySeconds }: FaultSizes): Promise<void> {
  const { sim } = place;
  await sim.down();
  await sim.instances.close();
  await setTimeout(awaySeconds * 1_000);
  await sim.up();
  await load(place, awaySeconds / 10);
}

export const faults: readonly Fault[] = [
  {
    name: "loading",
    what: "the model is still being loaded",
    loaded: false,
    before: async (place, { loadSeconds }) => {
      const loaded = load(place, loadSeconds);
      return () => loaded;
    },
    cause: /load/i,
  },
  {
    name: "killed",
    what: "LM Studio is killed in the middle of an answer and comes back",
    at: "in-words",
    strike: killed,
    cause: /LM Studio|upstream/i,
  },
  {
    name: "killed-late",
    what: "LM Studio is killed when a call is out but its answer has not ended",
    at: "after-call",
    strike: killed,
    cause: /LM Studio|upstream/i,
  },
  {
    name: "swapped",
    what: "another model takes the place of Codex's between two answers, for a while",
    at: "between",
    strike: async (place, { awaySeconds }) => {
      const { instances } = place.sim;
      await instances.unload(model);
      const other = instances.options.catalog().find(({ modelKey }) => modelKey !== model);
      const { identifier } = await instances.load({ model: other as NonNullable<typeof other> });
      await load(place, awaySeconds);
      await instances.unload(identifier);
    },
    cause: /model/i,
  },
  {
    name: "busy",
    what: "a neighbour keeps the only slot busy",
    slots: 1,
    before: async (place) => {
      const going = new AbortController();
      const done = keepBusy(place, going.signal);
      await place.sim.waitFor(({ event }) => event === "generate");
      return async () => {
        going.abort();
        await done;
      };
    },
    cause: /busy|queue|slot/i,
  },
];

/** One answer of three seconds after the other. */
async function keepBusy({ baseUrl, key }: Place, signal: AbortSignal): Promise<void> {
  const input = `${neighbourTask} sim:tokens=300 sim:pace=10`;
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  while (!signal.aborted) {
    try {
      const body = JSON.stringify({ model, input });
      await (await fetch(`${baseUrl}/responses`, { method: "POST", headers, body, signal })).text();
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

/** Codex's answers counted over the whole run; the fault strikes once. */
export function struck(agent: Agent, fault: Fault | undefined, strike: () => void): Agent {
  if (fault?.at === undefined) return agent;
  const { at } = fault;
  let answers = 0;
  return (request) => {
    const pieces = agent(request);
    // Titles come beside a turn, without tools.
    if (pieces === undefined || request.tools.length === 0) return pieces;
    answers += 1;
    return answers === (at === "between" ? 1 : 2) ? striking(pieces, at, strike) : pieces;
  };
}

function* striking(pieces: Iterable<Piece>, at: NonNullable<Fault["at"]>, strike: () => void): Generator<Piece> {
  let index = 0;
  for (const piece of pieces) {
    yield piece;
    index += 1;
    if (at === "in-words" && index === 1) strike();
  }
  if (at !== "in-words") strike();
}
