import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Host, hostAt } from "../../../../hostctl/host.ts";
import {
  type Desired,
  type DesiredModel,
  keyOf,
  type Memory,
  type World,
} from "../../../../hostctl/supervisor/decide.ts";
import { Holds, type HoldTimes, holdIsOver } from "../../../../hostctl/supervisor/hold.ts";
import { afterFailure, type Failed } from "../../../../hostctl/supervisor/quarantine.ts";
import { AdminSockets } from "./admin-sockets.ts";
import { nothingKnown } from "./machine.ts";

const minute = 60_000;
/** Nothing of it passes by itself during a test. */
const still: HoldTimes = { holdSeconds: 60, renewMs: minute, patienceMs: minute, pollMs: 1 };
const held = "POST /-/models/org%2Fmodel/hold?seconds=60";
const resumed = "POST /-/models/org%2Fmodel/resume";

let home: string;
let host: Host;
let said: string[];
let stop: AbortController;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "lmstack-hold-"));
  said = [];
  stop = new AbortController();
  host = hostAt(home, () => {});
});
afterEach(() => rm(home, { recursive: true, force: true }));

const holds = (times: Partial<HoldTimes> = {}) =>
  new Holds(host, (line) => said.push(line), stop.signal, { ...still, ...times });

describe("a model's requests, while the model is swapped,", () => {
  test("are held at every proxy that runs, and go on at every one", async () => {
    await using sockets = await AdminSockets.in(host.paths.proxy, 2);
    const swap = holds();
    await swap.begin("org/model");
    expect(sockets.calls).toEqual([held, held]);
    expect(swap.models).toEqual(["org/model"]);
    await swap.end("org/model");
    expect(sockets.calls).toEqual([held, held, resumed, resumed]);
    expect(swap.models).toEqual([]);
  });

  test("are not cut while they run: the swap waits until every proxy says that none is left", async () => {
    await using sockets = await AdminSockets.in(host.paths.proxy, 2);
    const running = [2, 1, 0, 1, 0, 0];
    sockets.answer = (_, response) => response.end(JSON.stringify({ running: running.shift() ?? 0 }));
    await holds().begin("org/model");
    expect(running).toEqual([]);
    expect(said).toEqual(["org/model: waiting for its running requests to end (3)"]);
  });

  test("do not keep the swap waiting for ever", async () => {
    await using sockets = await AdminSockets.in(host.paths.proxy);
    sockets.answer = (_, response) => response.end('{"running":2}');
    await holds({ patienceMs: 0 }).begin("org/model");
    expect(sockets.calls).toEqual([held]);
    expect(said).toEqual(["org/model: requests that still run after 0 s are cut off (2)"]);
  });

  test("do not keep a supervisor from ending", async () => {
    await using sockets = await AdminSockets.in(host.paths.proxy);
    sockets.answer = (_, response) => {
      stop.abort();
      response.end('{"running":2}');
    };
    await holds().begin("org/model");
    expect(sockets.calls).toEqual([held]);
  });

  test.each([
    ["there is no proxy", async () => {}],
    [
      "only the socket of a dead one is left",
      async () => {
        await mkdir(host.paths.proxy, { recursive: true });
        await writeFile(join(host.paths.proxy, "admin-dead.sock"), "");
      },
    ],
  ])("are no reason to stop when %s", async (_, prepare) => {
    await prepare();
    const swap = holds();
    await swap.begin("org/model");
    await swap.end("org/model");
    expect(said).toEqual([]);
  });

  test("are told of, and swapped all the same, when the proxy does not understand or says nothing sensible", async () => {
    await using sockets = await AdminSockets.in(host.paths.proxy);
    const swap = holds();
    sockets.answer = (_, response) => response.writeHead(404).end("{}");
    await swap.begin("org/model");
    expect(said).toEqual(["note: the proxy did not hold org/model: it answered 404"]);
    sockets.answer = (_, response) => response.destroy();
    await swap.end("org/model");
    expect(said[1]).toMatch(/^note: the proxy did not resume org\/model: /);
    for (const body of ["", "null", "[]", '{"running":"2"}', '{"running":-1}']) {
      sockets.answer = (_, response) => response.end(body);
      await swap.begin("org/model");
    }
    expect(said.length).toBe(2);
  });

  test("stay held as long as it takes, also at a proxy that starts meanwhile, and are not held again afterwards", async () => {
    await using sockets = await AdminSockets.in(host.paths.proxy);
    const swap = holds({ renewMs: 5 });
    await swap.begin("org/model");
    await expect.poll(() => sockets.calls.length).toBeGreaterThan(2);

    const asked = Promise.withResolvers<() => void>();
    sockets.answer = (_, response) => asked.resolve(() => response.end('{"running":0}'));
    const goOn = await asked.promise;
    sockets.answer = (_, response) => response.end('{"running":0}');
    const ended = swap.end("org/model");
    await sockets.open();
    expect(sockets.calls).not.toContain(resumed);
    goOn();
    await ended;
    expect(sockets.calls.filter((call) => call === resumed).length).toBe(2);
    expect(sockets.calls.at(-1)).toBe(resumed);
  });
});

describe("a hold", () => {
  const model: DesiredModel = {
    identifier: "alpha",
    contextLength: 4096,
    parallel: 2,
    gpu: "max",
    exactPath: "local/alpha/alpha.gguf",
    file: "/models/alpha.gguf",
    digest: "new",
  };
  const desired: Desired = { lmstudio: { backendPort: 1, engine: null, digest: "d" }, models: [model] };
  const instance = { identifier: "alpha", contextLength: 4096, parallel: 2, path: null };
  const server = { greeting: true, loopback: true, elsewhere: false, hung: false };
  const gone: World = { daemonPid: 7, foreign: null, strays: [], server, instances: [] };
  const there: World = { ...gone, instances: [instance] };
  const memory: Memory = { ...nothingKnown, loaded: { alpha: "new" } };
  const failed = (times: number): Failed => {
    const why = { code: "load_failed", reason: "out of memory", hint: "use less" } as const;
    let last = afterFailure(undefined, { do: "load", model, once: false }, why, 0);
    for (let count = 1; count < times; count++) last = afterFailure(last, { do: "load", model, once: false }, why, 0);
    return last;
  };
  const over = (failures: Memory["failures"], world = gone) =>
    holdIsOver("alpha", desired, world, { ...memory, failures });

  test("lasts while the model is away, and while a load is still going to be tried again", () => {
    expect(over({})).toBe(false);
    expect(over({ [keyOf({ do: "load", model, once: false })]: failed(4) })).toBe(false);
    expect(holdIsOver("alpha", desired, { ...there, instances: [{ ...instance, parallel: 1 }] }, memory)).toBe(false);
    expect(holdIsOver("alpha", desired, { ...gone, daemonPid: null }, memory)).toBe(false);
  });

  test("ends when the model is there as declared", () => {
    expect(holdIsOver("alpha", desired, there, memory)).toBe(true);
  });

  test("ends when the model is not going to come: given up, not unloaded, LM Studio failing, or declared no more", () => {
    expect(over({ [keyOf({ do: "load", model, once: false })]: failed(5) })).toBe(true);
    expect(over({ "unload:alpha": failed(1) }, { ...there, instances: [{ ...instance, parallel: 1 }] })).toBe(true);
    expect(over({ "start-daemon": failed(2) }, { ...gone, daemonPid: null })).toBe(true);
    expect(holdIsOver("alpha", { ...desired, models: [] }, gone, memory)).toBe(true);
    expect(holdIsOver("alpha", { ...desired, lmstudio: null }, gone, memory)).toBe(true);
  });
});
