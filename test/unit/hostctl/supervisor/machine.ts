/** States of a host as the supervisor meets them, and what its actions make of them. */
import fc from "fast-check";
import {
  type Action,
  type Desired,
  type DesiredModel,
  engineId,
  type Memory,
  type World,
} from "../../../../hostctl/supervisor/decide.ts";
import type { Failed } from "../../../../hostctl/supervisor/quarantine.ts";

export const names = ["alpha", "beta", "gamma"];
export const outOfMemory = { code: "load_failed", reason: "out of memory", hint: "use less" } as const;
export const engine = { name: "llama.cpp", version: "2" };

export const model = (identifier: string, contextLength: number, parallel: number): DesiredModel => ({
  identifier,
  contextLength,
  parallel,
  gpu: "max",
  exactPath: `local/${identifier}/${identifier}.gguf`,
  file: `/models/${identifier}.gguf`,
  digest: `${identifier}-${contextLength}-${parallel}`,
});

export const desiredStates: fc.Arbitrary<Desired> = fc.record({
  lmstudio: fc.constantFrom(
    { backendPort: 8081, engine: null, digest: "d" },
    { backendPort: 8081, engine, digest: "e" },
  ),
  models: fc
    .uniqueArray(fc.tuple(fc.constantFrom(...names), fc.constantFrom(4096, 8192), fc.constantFrom(1, 2)), {
      selector: ([name]) => name,
    })
    .map((rows) => rows.map(([name, context, parallel]) => model(name, context, parallel))),
});

export const instances = fc.uniqueArray(
  fc.record({
    identifier: fc.constantFrom(
      "alpha",
      "alpha:2",
      "alpha:lmstack",
      "beta",
      "beta:3",
      "gamma",
      "stranger",
      "stranger:2",
    ),
    contextLength: fc.constantFrom(4096, 8192, null),
    parallel: fc.constantFrom(1, 2, null),
    path: fc.constantFrom(null, "local/alpha/alpha.gguf", "other/file.gguf"),
  }),
  { selector: (one) => one.identifier },
);

/** LM Studio as the supervisor's actions change it. */
export interface Machine {
  world: World;
  loaded: Record<string, string>;
  engine: string | null;
  serverStops: number;
  serves?: Record<string, string>;
}

export const serving = { greeting: true, loopback: true, elsewhere: false, hung: false };
export const silent = { greeting: false, loopback: false, elsewhere: false, hung: false };

export const machines: fc.Arbitrary<Machine> = fc
  .record({
    daemonPid: fc.constantFrom(null, 7),
    foreign: fc.constantFrom(null, "idle" as const, "busy" as const),
    strays: fc.subarray([21, 22]),
    server: fc.constantFrom("greets", "hangs", "silent"),
    loopback: fc.boolean(),
    elsewhere: fc.boolean(),
    found: instances,
    loaded: fc.dictionary(fc.constantFrom(...names, "gone"), fc.constantFrom("alpha-4096-1", "old")),
    engine: fc.constantFrom(null, engineId(engine), "other@1"),
    serverStops: fc.constantFrom(0, 1, 2),
    serves: fc.constantFrom({}, { alpha: "alpha:lmstack" }),
  })
  .map(({ daemonPid, foreign, strays, loopback, elsewhere, found, loaded, engine: selected, ...like }) => {
    const there = daemonPid !== null;
    const up = there && like.server === "greets";
    const hung = there && like.server === "hangs";
    const server = { greeting: up, loopback: up && loopback, elsewhere: there && !up && !hung && elsewhere, hung };
    const world = { daemonPid, foreign: there ? foreign : null, strays, server, instances: up ? found : null };
    const { serverStops, serves } = like;
    return { world, loaded, engine: selected, serverStops, serves };
  });

/**
 * `hidden`: instances that are there although the server does not tell. `stubborn`: the server hangs on after each of its starts. `roomy`: a changed
 * model has room beside the one that serves.
 */
export function perform(
  machine: Machine,
  action: Action,
  hidden: World["instances"],
  { stubborn = false, roomy = false }: { readonly stubborn?: boolean; readonly roomy?: boolean } = {},
): Machine {
  const { world } = machine;
  switch (action.do) {
    case "start-daemon":
      return {
        world: { ...world, daemonPid: 8, foreign: null, server: silent, instances: null },
        loaded: {},
        engine: null,
        serverStops: machine.serverStops,
        serves: {},
      };
    case "end-daemon": {
      if (action.pid !== world.daemonPid)
        return { ...machine, world: { ...world, strays: world.strays.filter((pid) => pid !== action.pid) } };
      return { ...machine, world: { ...world, daemonPid: null, foreign: null, server: silent, instances: null } };
    }
    case "select-engine":
      return { ...machine, engine: engineId(action.engine) };
    case "stop-server":
      return {
        ...machine,
        serverStops: machine.serverStops + 1,
        world: { ...world, server: silent, instances: null },
      };
    case "start-server": {
      const hangs = stubborn && world.daemonPid === 7;
      return {
        ...machine,
        world: {
          ...world,
          server: hangs ? { ...silent, hung: true } : serving,
          // A daemon of its own has loaded nothing yet.
          instances: hangs ? null : (world.instances ?? (world.daemonPid === 8 ? [] : hidden)),
        },
      };
    }
    case "unload": {
      const { [action.identifier]: _, ...loaded } = machine.loaded;
      const serves = Object.entries(machine.serves ?? {}).filter(([, instance]) => instance !== action.identifier);
      return {
        ...machine,
        loaded,
        serves: Object.fromEntries(serves),
        world: { ...world, instances: (world.instances ?? []).filter((one) => one.identifier !== action.identifier) },
      };
    }
    case "swap": {
      const { model, from } = action;
      const { identifier, contextLength, parallel, digest } = model;
      const beside = from === identifier ? `${identifier}:lmstack` : identifier;
      const name = roomy ? beside : identifier;
      const others = (world.instances ?? []).filter(
        (one) => one.identifier !== name && (roomy || one.identifier !== from),
      );
      const { [identifier]: _, ...serves } = machine.serves ?? {};
      return {
        ...machine,
        loaded: { ...machine.loaded, [name]: digest },
        serves: name === identifier ? serves : { ...serves, [identifier]: name },
        world: { ...world, instances: [...others, { identifier: name, contextLength, parallel, path: null }] },
      };
    }
    case "load": {
      const { identifier, contextLength, parallel, digest } = action.model;
      const instance = { identifier, contextLength, parallel, path: null };
      return {
        ...machine,
        loaded: { ...machine.loaded, [identifier]: digest },
        serves: Object.fromEntries(Object.entries(machine.serves ?? {}).filter(([name]) => name !== identifier)),
        world: { ...world, instances: [...(world.instances ?? []), instance] },
      };
    }
  }
}

export const memoryOf = (
  machine: Pick<Machine, "loaded" | "engine"> & Partial<Machine>,
  keep: readonly string[] = [],
  failures: Record<string, Failed> = {},
): Memory => ({
  loaded: machine.loaded,
  engine: machine.engine,
  keep,
  failures,
  serves: machine.serves ?? {},
  good: {},
  serverStops: machine.serverStops ?? 0,
  lmsHung: 0,
  silent: [],
});

export const calm: World = { daemonPid: 7, foreign: null, strays: [], server: serving, instances: [] };
export const plain: Desired = { lmstudio: { backendPort: 1, engine: null, digest: "d" }, models: [] };
export const nothingKnown = memoryOf({ loaded: {}, engine: null });
