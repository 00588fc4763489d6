/** How one machine knows whether a runner on another lives: what a runner writes of itself, and how long its silence is waited out. */
import { describe, expect, test, vi } from "vitest";
import type { Effects } from "../../../../../infra/fleet/rollout/effects.ts";
import { momentOf } from "../../../../../infra/fleet/rollout/journal.ts";
import { heartbeatSeconds, heldBy, silenceSeconds } from "../../../../../infra/fleet/rollout/lease.ts";
import { runRollout } from "../../../../../infra/fleet/rollout/run.ts";
import { awaitSilence, begin } from "../../../../../infra/fleet/rollout/take.ts";
import { FakeFleet, specOf } from "./fake-fleet.ts";

const oneHost = () => new FakeFleet(["box0"], { breaks: () => false });

test("a runner that has written nothing for a while says that it lives, one that has written does not say it again", async () => {
  const fleet = oneHost();
  const began = fleet.now();
  let clock = 0;
  const beats: { readonly seconds: number; readonly go: () => void }[] = [];
  const changing = Promise.withResolvers<void>();
  const changed = Promise.withResolvers<void>();
  const calm = fleet.effects(async () => {});
  const effects: Effects = {
    ...calm,
    now: () => began.add({ seconds: clock }),
    wait: async (seconds, signal) => {
      if (seconds <= 2) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      signal.addEventListener("abort", () => resolve(), { once: true });
      beats.push({ seconds, go: resolve });
      await promise;
    },
    up: async (...how) => {
      changing.resolve();
      await changed.promise;
      return await calm.up(...how);
    },
  };
  const beat = async (at: number) => {
    clock = at;
    beats.at(-1)?.go();
    const count = beats.length;
    await vi.waitUntil(() => beats.length > count, { interval: 1 });
    return { writes: fleet.writes, next: beats.at(-1)?.seconds };
  };
  const me = { id: "r", user: "ada", machine: "desk", pid: 1 };
  const here = { machine: "desk", runs: () => true };
  const hosts = { box0: specOf("B", "box0") };
  await begin(effects, me, here, { kind: "rollout", revision: null, hosts });
  const seen = [fleet.seen("box0", hosts.box0)];
  const policy = { ...fleet.policy, bakeSeconds: 0 };
  const stop = new AbortController().signal;
  const run = runRollout(effects, { id: "r", policy, fleet: seen, stacksAtOnce: 1, emit: () => {}, stop });
  await changing.promise;
  const { writes } = fleet;
  expect(await beat(heartbeatSeconds - 5)).toEqual({ writes, next: 5 });
  expect(await beat(heartbeatSeconds)).toEqual({ writes: writes + 1, next: heartbeatSeconds });
  expect(fleet.journal.lease?.heartbeat).toBe(momentOf(began.add({ seconds: heartbeatSeconds })));
  changed.resolve();
  expect((await run).state).toBe("done");
});

describe("whoever resumes on another machine", () => {
  const elsewhere = { machine: "laptop", runs: () => false };
  const never = new AbortController().signal;
  const runningOn = (fleet: FakeFleet, heartbeat: Temporal.Instant) => {
    const lease = { id: "r", user: "ada", machine: "desk", pid: 1, heartbeat: heartbeat.toString() };
    fleet.journal = { ...fleet.journal, lease };
  };

  test("waits until the silence is long enough, and not longer", async () => {
    const fleet = oneHost();
    runningOn(fleet, fleet.now());
    const began = fleet.now();
    await awaitSilence(
      fleet.effects(async () => {}),
      elsewhere,
      () => {},
      never,
    );
    expect(fleet.now().since(began).total("seconds")).toBe(silenceSeconds);
  });

  test("stops waiting when the runner is heard of", async () => {
    const fleet = oneHost();
    runningOn(fleet, fleet.now());
    const began = fleet.now();
    let looks = 0;
    const effects = fleet.effects(async () => {
      if (++looks === 7) runningOn(fleet, fleet.now());
    });
    await awaitSilence(effects, elsewhere, () => {}, never);
    expect(fleet.now().since(began).total("seconds")).toBeLessThan(silenceSeconds / 2);
    expect(fleet.journal.lease && heldBy(fleet.journal.lease, fleet.now(), elsewhere).alive).toBe(true);
  });
});
