import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Action,
  type Desired,
  decide,
  keyOf,
  loadKey,
  type Memory,
  mismatch,
  servingInstance,
  type World,
} from "../../../../hostctl/supervisor/decide.ts";
import { afterFailure, type Failed } from "../../../../hostctl/supervisor/quarantine.ts";
import {
  calm,
  desiredStates,
  instances,
  type Machine,
  machines,
  memoryOf,
  model,
  names,
  nothingKnown,
  outOfMemory,
  perform,
  plain,
  serving,
  silent,
} from "./machine.ts";

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
