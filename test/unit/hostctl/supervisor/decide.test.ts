import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Action,
  type Desired,
  type DesiredModel,
  decide,
  engineId,
  keyOf,
  loadKey,
  type Memory,
  mismatch,
  servingInstance,
  type World,
} from "../../../../hostctl/supervisor/decide.ts";
import { afterFailure, type Failed } from "../../../../hostctl/supervisor/quarantine.ts";

const names = ["alpha", "beta", "gamma"];
const outOfMemory = { code: "load_failed", reason: "out of memory", hint: "use less" } as const;
const engine = { name: "llama.cpp", version: "2" };

const model = (identifier: string, contextLength: number, parallel: number): DesiredModel => ({
  identifier,
  contextLength,
  parallel,
  gpu: "max",
  exactPath: `local/${identifier}/${identifier}.gguf`,
  file: `/models/${identifier}.gguf`,
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
interface Machine {
  world: World;
  loaded: Record<string, string>;
  engine: string | null;
  serverStops: number;
  serves?: Record<string, string>;
}

const serving = { greeting: true, loopback: true, elsewhere: false, hung: false };
const silent = { greeting: false, loopback: false, elsewhere: false, hung: false };

const machines: fc.Arbitrary<Machine> = fc
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
function perform(
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

const memoryOf = (
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

const calm: World = { daemonPid: 7, foreign: null, strays: [], server: serving, instances: [] };
const plain: Desired = { lmstudio: { backendPort: 1, engine: null, digest: "d" }, models: [] };
const nothingKnown = memoryOf({ loaded: {}, engine: null });

describe("the supervisor's decisions", () => {
  test("lead from any state to the declared one in few steps, and never load what is loaded", () => {
    fc.assert(
      fc.property(
        desiredStates,
        machines,
        instances,
        fc.boolean(),
        fc.boolean(),
        (desired, start, hidden, stubborn, roomy) => {
          let machine = start;
          for (let step = 0; step < 30; step++) {
            const action = decide(desired, machine.world, memoryOf(machine), 0);
            if (action === null) {
              expect(machine.world).toMatchObject({ server: serving, strays: [] });
              expect(machine.world.foreign).not.toBe("idle");
              for (const wanted of desired.models) {
                const own = machine.world.instances?.filter(
                  ({ identifier }) => identifier.replace(/:(\d+|lmstack)$/, "") === wanted.identifier,
                );
                expect(own?.map(({ identifier }) => identifier)).toEqual([
                  machine.serves?.[wanted.identifier] ?? wanted.identifier,
                ]);
                for (const one of own ?? []) expect(mismatch(wanted, one, memoryOf(machine))).toBeNull();
              }
              return;
            }
            const has = (name: string) => machine.world.instances?.some(({ identifier }) => identifier === name);
            if (action.do === "load") {
              expect(has(action.model.identifier)).toBe(false);
              expect(has(`${action.model.identifier}:lmstack`)).toBe(false);
            }
            // A changed model needs another name beside the one that serves, and that has to be free.
            if (action.do === "swap")
              expect(
                has(action.from === action.model.identifier ? `${action.from}:lmstack` : action.model.identifier),
              ).toBe(false);
            machine = perform(machine, action, hidden, { stubborn, roomy });
          }
          throw new Error(`it did not come to rest: ${JSON.stringify(machine)}`);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("load a model again that is as declared and gives no answer, and no other", () => {
    const model = {
      identifier: "m",
      exactPath: "m",
      contextLength: 1,
      parallel: 1,
      gpu: "max" as const,
      file: "/m",
      digest: "d",
    };
    const desired = { ...plain, models: [model] };
    const instance = { identifier: "m", contextLength: 1, parallel: 1, path: null };
    const world = { ...calm, instances: [instance, { ...instance, identifier: "stranger" }] };
    const known = memoryOf({ loaded: { m: "d" }, engine: null });
    expect(decide(desired, world, known, 0)).toBeNull();
    expect(decide(desired, world, { ...known, silent: ["m", "stranger"] }, 0)).toMatchObject({
      do: "swap",
      from: "m",
      because: expect.stringContaining("two probes"),
    });
  });

  test("leave alone what nobody declared and it did not load, and what was there before lmstack", () => {
    fc.assert(
      fc.property(desiredStates, machines, fc.subarray(names), (desired, machine, keep) => {
        const action = decide(desired, machine.world, memoryOf(machine, keep), 0);
        if (action?.do !== "unload") return;
        const { identifier } = action;
        expect(identifier).not.toMatch(/^stranger/);
        const declared = desired.models.some((one) => one.identifier === identifier.replace(/:(\d+|lmstack)$/, ""));
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
    const world = calm;
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

  test("change an instance that has the declared name but another file, context or declaration", () => {
    const desired: Desired = {
      lmstudio: { backendPort: 1, engine: null, digest: "d" },
      models: [model("alpha", 4096, 2)],
    };
    const right = { identifier: "alpha", contextLength: 4096, parallel: 2, path: null };
    const look = (instance: object, loaded: Record<string, string> = {}) => {
      const world: World = { ...calm, instances: [{ ...right, ...instance }] };
      return decide(desired, world, { ...nothingKnown, loaded }, 0);
    };
    expect(look({})).toBeNull();
    expect(look({}, { alpha: "alpha-4096-2" })).toBeNull();
    expect(look({ contextLength: 1024 })).toMatchObject({ do: "swap", because: "context 1024 instead of 4096" });
    expect(look({ parallel: 4 })).toMatchObject({ do: "swap", because: "parallel 4 instead of 2" });
    expect(look({ path: "else/where.gguf" })).toMatchObject({ do: "swap" });
    expect(look({}, { alpha: "older" })).toMatchObject({ do: "swap", because: "declared anew" });
  });

  test("never unload the only instance that answers for a declared model: what takes its place is loaded and proved first, or it waits held", () => {
    fc.assert(
      fc.property(desiredStates, machines, (desired, machine) => {
        const memory = memoryOf(machine);
        const action = decide(desired, machine.world, memory, 0);
        if (action?.do !== "unload") return;
        for (const { identifier } of desired.models)
          expect(action.identifier).not.toBe(servingInstance(identifier, memory));
      }),
      { numRuns: 1000 },
    );
  });

  test("let the requests of the instance that was replaced end before it goes", () => {
    const desired: Desired = { ...plain, models: [model("alpha", 4096, 1)] };
    const one = { identifier: "alpha", contextLength: 2048, parallel: 1, path: null };
    const world: World = { ...calm, instances: [one, { ...one, identifier: "alpha:lmstack", contextLength: 4096 }] };
    const memory: Memory = { ...nothingKnown, serves: { alpha: "alpha:lmstack" } };
    expect(decide(desired, world, memory, 0)).toMatchObject({ do: "unload", identifier: "alpha", drains: true });
  });

  test("return to what served before when a change fails, whatever it left, and do not try the change again", () => {
    const old = model("alpha", 2048, 1);
    const wanted = { ...model("alpha", 4096, 1), exactPath: "other/file.gguf", file: "/models/other.gguf" };
    const desired: Desired = { ...plain, models: [wanted] };
    const left = fc.constantFrom([], [{ identifier: "alpha", contextLength: 2048, parallel: 1, path: null }]);
    fc.assert(
      fc.property(left, fc.boolean(), (instances, roomy) => {
        const change: Action = { do: "swap", model: wanted, from: "alpha", because: "context 2048 instead of 4096" };
        const failed = afterFailure(undefined, change, outOfMemory, 0);
        const memory = { ...nothingKnown, good: { alpha: old }, failures: { [loadKey(wanted)]: failed } };
        let machine: Machine = { world: { ...calm, instances }, loaded: {}, engine: null, serverStops: 0 };
        for (let step = 0; step < 5; step++) {
          const action = decide(desired, machine.world, { ...memory, loaded: machine.loaded }, 1e12);
          if (action === null) break;
          expect(action).toMatchObject({ do: "load", model: old });
          machine = perform(machine, action, null, { roomy });
        }
        expect(machine.world.instances).toMatchObject([{ identifier: "alpha", contextLength: 2048 }]);
      }),
    );
  });

  test("do not return to a file that is another one by now", () => {
    const wanted = { ...model("alpha", 4096, 1), file: "/models/new.gguf" };
    const failed = afterFailure(undefined, { do: "swap", model: wanted, from: "alpha", because: "" }, outOfMemory, 0);
    const memory = {
      ...nothingKnown,
      good: { alpha: model("alpha", 2048, 1) },
      failures: { [loadKey(wanted)]: failed },
    };
    expect(decide({ ...plain, models: [wanted] }, calm, memory, 1e12)).toBeNull();
  });

  test("never end the daemon that serves, unless another program started it and it works for nobody", () => {
    const failed: Failed = { count: 1, retryAt: 0, code: "daemon_hangs", reason: "r", hint: "h" };
    const failures = fc.dictionary(fc.constantFrom("stop-server", "start-server", "end-daemon"), fc.constant(failed));
    const hungCalls = fc.nat({ max: 5 });
    fc.assert(
      fc.property(desiredStates, machines, failures, hungCalls, (desired, machine, failures, lmsHung) => {
        const { world } = machine;
        const action = decide(desired, world, { ...memoryOf(machine, [], failures), lmsHung }, 0);
        if (action?.do !== "end-daemon" || action.pid !== world.daemonPid || !world.server.greeting) return;
        expect(world.foreign).toBe("idle");
        expect(action.politely).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test("leave one daemon: whatever is beside the one that answers goes first, one by one", () => {
    const world: World = { ...calm, strays: [21, 22] };
    expect(decide(plain, world, nothingKnown, 0)).toMatchObject({ do: "end-daemon", pid: 21, politely: false });
    expect(decide(plain, { ...world, strays: [22] }, nothingKnown, 0)).toMatchObject({ do: "end-daemon", pid: 22 });
    expect(decide(plain, { ...world, strays: [] }, nothingKnown, 0)).toBeNull();
  });

  test("end a daemon that hangs before another one is started beside it", () => {
    const world: World = { ...calm, daemonPid: null, strays: [21], server: silent, instances: null };
    expect(decide(plain, world, nothingKnown, 0)).toMatchObject({ do: "end-daemon", pid: 21 });
  });

  test("leave a daemon of another program alone while it works for somebody", () => {
    expect(decide(plain, { ...calm, foreign: "busy" }, nothingKnown, 0)).toBeNull();
  });

  test("take the smallest step against a server that hangs: its own restart, and the daemon's only when that did not help", () => {
    const hung: World = { ...calm, server: { ...silent, hung: true }, instances: null };
    const failed: Failed = { count: 1, retryAt: 9, code: "daemon_hangs", reason: "r", hint: "h" };
    expect(decide(plain, hung, nothingKnown, 0)).toMatchObject({ do: "stop-server" });
    expect(decide(plain, hung, { ...nothingKnown, serverStops: 1 }, 0)).toMatchObject({ do: "stop-server" });
    for (const memory of [{ serverStops: 2 }, { lmsHung: 1 }, { failures: { "stop-server": failed } }])
      expect(decide(plain, hung, { ...nothingKnown, ...memory }, 0)).toMatchObject({ do: "end-daemon", pid: 7 });
  });
});
