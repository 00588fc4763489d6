import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Action,
  afterFailure,
  type Desired,
  type DesiredModel,
  decide,
  engineId,
  type Failed,
  keyOf,
  type Memory,
  type World,
} from "../../../../hostctl/supervisor/decide.ts";

const names = ["alpha", "beta", "gamma"];
const outOfMemory = { code: "load_failed", reason: "out of memory", hint: "use less" } as const;
const engine = { name: "llama.cpp", version: "2" };

const model = (identifier: string, contextLength: number, parallel: number): DesiredModel => ({
  identifier,
  contextLength,
  parallel,
  gpu: "max",
  exactPath: `local/${identifier}/${identifier}.gguf`,
  digest: `${identifier}-${contextLength}-${parallel}`,
});

const desiredStates: fc.Arbitrary<Desired> = fc.record({
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

const instances = fc.uniqueArray(
  fc.record({
    identifier: fc.constantFrom("alpha", "alpha:2", "beta", "beta:3", "gamma", "stranger", "stranger:2"),
    contextLength: fc.constantFrom(4096, 8192, null),
    parallel: fc.constantFrom(1, 2, null),
    path: fc.constantFrom(null, "local/alpha/alpha.gguf", "other/file.gguf"),
  }),
  { selector: (one) => one.identifier },
);

/** LM Studio as the supervisor's actions change it. */
interface Machine {
  world: World;
  loaded: Record<string, string>;
  engine: string | null;
}

const machines: fc.Arbitrary<Machine> = fc
  .record({
    daemonPid: fc.constantFrom(null, 7),
    greeting: fc.boolean(),
    loopback: fc.boolean(),
    elsewhere: fc.boolean(),
    found: instances,
    loaded: fc.dictionary(fc.constantFrom(...names, "gone"), fc.constantFrom("alpha-4096-1", "old")),
    engine: fc.constantFrom(null, engineId(engine), "other@1"),
  })
  .map(({ daemonPid, greeting, loopback, elsewhere, found, loaded, engine: selected }) => {
    const up = daemonPid !== null && greeting;
    const server = { greeting: up, loopback: up && loopback, elsewhere: daemonPid !== null && !up && elsewhere };
    return { world: { daemonPid, server, instances: up ? found : null }, loaded, engine: selected };
  });

/** Instances that are there although the server does not tell. */
function perform(machine: Machine, action: Action, hidden: World["instances"]): Machine {
  const { world } = machine;
  switch (action.do) {
    case "start-daemon":
      return { ...machine, world: { ...world, daemonPid: 8 }, loaded: {}, engine: null };
    case "select-engine":
      return { ...machine, engine: engineId(action.engine) };
    case "stop-server":
      return {
        ...machine,
        world: { ...world, server: { greeting: false, loopback: false, elsewhere: false }, instances: null },
      };
    case "start-server":
      return {
        ...machine,
        world: {
          ...world,
          server: { greeting: true, loopback: true, elsewhere: false },
          instances: world.instances ?? hidden,
        },
      };
    case "unload": {
      const { [action.identifier]: _, ...loaded } = machine.loaded;
      return {
        ...machine,
        loaded,
        world: { ...world, instances: (world.instances ?? []).filter((one) => one.identifier !== action.identifier) },
      };
    }
    case "load": {
      const { identifier, contextLength, parallel, digest } = action.model;
      const instance = { identifier, contextLength, parallel, path: null };
      return {
        ...machine,
        loaded: { ...machine.loaded, [identifier]: digest },
        world: { ...world, instances: [...(world.instances ?? []), instance] },
      };
    }
  }
}

const memoryOf = (machine: Machine, keep: readonly string[] = [], failures: Record<string, Failed> = {}): Memory => ({
  loaded: machine.loaded,
  engine: machine.engine,
  keep,
  failures,
});

describe("the supervisor's decisions", () => {
  test("lead from any state to the declared one in few steps, and never load what is loaded", () => {
    fc.assert(
      fc.property(desiredStates, machines, instances, (desired, start, hidden) => {
        let machine = start;
        for (let step = 0; step < 20; step++) {
          const action = decide(desired, machine.world, memoryOf(machine), 0);
          if (action === null) {
            expect(machine.world.server).toEqual({ greeting: true, loopback: true, elsewhere: false });
            for (const wanted of desired.models) {
              const own = machine.world.instances?.filter(
                ({ identifier }) => identifier.replace(/:\d+$/, "") === wanted.identifier,
              );
              expect(own?.map(({ identifier }) => identifier)).toEqual([wanted.identifier]);
            }
            return;
          }
          if (action.do === "load") {
            expect(machine.world.instances?.some(({ identifier }) => identifier === action.model.identifier)).toBe(
              false,
            );
          }
          machine = perform(machine, action, hidden);
        }
        throw new Error(`it did not come to rest: ${JSON.stringify(machine)}`);
      }),
      { numRuns: 500 },
    );
  });

  test("leave alone what nobody declared and it did not load, and what was there before lmstack", () => {
    fc.assert(
      fc.property(desiredStates, machines, fc.subarray(names), (desired, machine, keep) => {
        const action = decide(desired, machine.world, memoryOf(machine, keep), 0);
        if (action?.do !== "unload") return;
        const { identifier } = action;
        expect(identifier).not.toMatch(/^stranger/);
        const declared = desired.models.some((one) => one.identifier === identifier.replace(/:\d+$/, ""));
        if (!declared) expect(keep).not.toContain(identifier);
      }),
      { numRuns: 500 },
    );
  });

  test("do nothing at all while LM Studio is not declared", () => {
    fc.assert(
      fc.property(machines, (machine) => {
        expect(
          decide({ lmstudio: null, models: [model("alpha", 4096, 1)] }, machine.world, memoryOf(machine), 0),
        ).toBeNull();
      }),
    );
  });

  test("do not repeat a failed action before its time, and load the other models meanwhile", () => {
    const desired: Desired = {
      lmstudio: { backendPort: 1, engine: null, digest: "d" },
      models: [model("alpha", 1, 1), model("beta", 1, 1)],
    };
    const world: World = { daemonPid: 7, server: { greeting: true, loopback: true, elsewhere: false }, instances: [] };
    const first = decide(desired, world, memoryOf({ world, loaded: {}, engine: null }), 1000);
    expect(first).toMatchObject({ do: "load", model: { identifier: "alpha" } });
    if (first === null) return;
    const failed = afterFailure(undefined, first, outOfMemory, 1000);
    const memory = memoryOf({ world, loaded: {}, engine: null }, [], { [keyOf(first)]: failed });
    expect(decide(desired, world, memory, 1001)).toMatchObject({ do: "load", model: { identifier: "beta" } });
    expect(decide(desired, world, memory, failed.retryAt)).toMatchObject({
      do: "load",
      model: { identifier: "alpha" },
    });
  });

  test("give up a load after five failures until it is declared anew", () => {
    const action: Action = { do: "load", model: model("alpha", 1, 1) };
    let failed: Failed | undefined;
    for (let count = 0; count < 5; count++) failed = afterFailure(failed, action, outOfMemory, 0);
    expect(failed?.retryAt).toBe(Number.MAX_SAFE_INTEGER);
    expect(keyOf({ do: "load", model: model("alpha", 2, 1) })).not.toBe(keyOf(action));
  });

  test("reload an instance that has the declared name but another file, context or declaration", () => {
    const desired: Desired = {
      lmstudio: { backendPort: 1, engine: null, digest: "d" },
      models: [model("alpha", 4096, 2)],
    };
    const right = { identifier: "alpha", contextLength: 4096, parallel: 2, path: null };
    const look = (instance: object, loaded: Record<string, string> = {}) => {
      const world: World = {
        daemonPid: 7,
        server: { greeting: true, loopback: true, elsewhere: false },
        instances: [{ ...right, ...instance }],
      };
      return decide(desired, world, { loaded, engine: null, keep: [], failures: {} }, 0);
    };
    expect(look({})).toBeNull();
    expect(look({}, { alpha: "alpha-4096-2" })).toBeNull();
    expect(look({ contextLength: 1024 })).toMatchObject({ do: "unload", because: "context 1024 instead of 4096" });
    expect(look({ parallel: 4 })).toMatchObject({ do: "unload", because: "parallel 4 instead of 2" });
    expect(look({ path: "else/where.gguf" })).toMatchObject({ do: "unload" });
    expect(look({}, { alpha: "older" })).toMatchObject({ do: "unload", because: "declared anew" });
  });
});
