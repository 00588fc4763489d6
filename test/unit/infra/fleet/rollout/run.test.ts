/** What a rollout promises whatever its hosts do, and wherever its runner is killed. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CliFault } from "../../../../../infra/cli/fault.ts";
import { stacksOn } from "../../../../../infra/fleet/rollout/run.ts";
import { declaredIn } from "../../../../../infra/fleet/rollout/steps.ts";
import { type Behaviour, FakeFleet } from "./fake-fleet.ts";

const names = (count: number) => Array.from({ length: count }, (_, index) => `box${index}`);
const toB = (hosts: readonly string[]) => Object.fromEntries(hosts.map((host) => [host, "B"]));
const well: Behaviour = { breaks: () => false };
const running = (fleet: FakeFleet) => [...fleet.boxes.values()].map(({ spec }) => declaredIn(spec)[0]);
const newest = (fleet: FakeFleet) => fleet.journal.rollouts[0];

async function rolled(behaviour: Behaviour, count = 4): Promise<FakeFleet> {
  const fleet = new FakeFleet(names(count), behaviour);
  await fleet.command("first", toB(names(count)));
  return fleet;
}

describe("a rollout", () => {
  test("changes the canary first, watches it, and then the others by waves", async () => {
    const fleet = await rolled({ ...well, policy: { wave: 2, maxUnavailable: 2 } }, 5);
    expect(running(fleet)).toEqual(["B", "B", "B", "B", "B"]);
    const order = fleet.happenings.flatMap((one): (number | string)[] => {
      if (one.event === "wave") return [one.hosts.length];
      if (one.event === "spread" && one.over) return ["files"];
      return one.event === "bake" && one.secondsLeft === 0 ? ["baked"] : [];
    });
    expect(order).toEqual([1, "baked", "files", 2, 2]);
    expect(fleet.downloads).toBe(1);
    expect(newest(fleet)).toMatchObject({ state: "done", why: null });
    expect(fleet.journal.lease).toBeNull();
  });

  test.each<[string, Behaviour, RegExp]>([
    ["does not come up", { breaks: (_, model) => model === "B" }, /the canary box0 failed: the model does not load/],
    ["falls over at work", { ...well, dies: (_, model) => model === "B" }, /not ready any more/],
    ["is slow", { ...well, pace: (model) => (model === "B" ? 4 : 40) }, /B gives 4.0 tokens a second, 40 before/],
  ])("a model that %s stops it at the canary, which goes back by itself", async (_, behaviour, why) => {
    const fleet = await rolled(behaviour);
    expect(running(fleet)).toEqual(["A", "A", "A", "A"]);
    expect(fleet.drained.size).toBe(0);
    expect(newest(fleet)).toMatchObject({ state: "returned", why: expect.stringMatching(why) });
    expect(Object.values(newest(fleet)?.hosts ?? {}).filter(({ phase }) => phase !== "waiting")).toHaveLength(1);
    expect(fleet.downloads).toBe(1);
    expect(fleet.journal.held).toMatchObject([{ revision: "abc" }]);
  });

  test("a model that is slow is found each time, also when the host's sums are full of slow answers of the time before", async () => {
    const pace = (model: string) => (model === "B" ? 4 : 40);
    const fleet = new FakeFleet(names(2), { ...well, pace, calls: () => "coder" });
    for (let time = 0; time < 5; time++) {
      await fleet.command(`time ${time}`, toB(names(2)));
      expect([time, newest(fleet)?.state, newest(fleet)?.why]).toEqual([
        time,
        "returned",
        expect.stringMatching(/the canary box0 failed: .*4.0 tokens a second, 40 before/),
      ]);
    }
  });

  test("a failure after the canary takes every touched host back when the budget is spent", async () => {
    const fleet = await rolled({ breaks: (host, model) => model === "B" && host === "box2" });
    expect(running(fleet)).toEqual(["A", "A", "A", "A"]);
    expect(newest(fleet)?.why).toMatch(/box2 failed: the model does not load/);
    expect([fleet.drained.size, fleet.exposed]).toEqual([0, 0]);
  });

  test("a failure within the budget takes only that host back", async () => {
    const fleet = await rolled({
      breaks: (host, model) => model === "B" && host === "box2",
      policy: { errorBudget: 1 },
    });
    expect(running(fleet)).toEqual(["B", "B", "A", "B"]);
    expect(newest(fleet)).toMatchObject({ state: "done", why: "not changed: box2" });
    expect(fleet.drained.size).toBe(0);
  });

  test("has no more stacks in flight than the machine has room for, however large a wave is", async () => {
    const fleet = new FakeFleet(names(9), { ...well, policy: { wave: 9, maxUnavailable: 9 } });
    fleet.stacksAtOnce = 3;
    await fleet.command("first", toB(names(9)));
    expect(running(fleet)).toEqual(names(9).map(() => "B"));
    expect(fleet.mostAway).toBe(3);
  });

  test("leaves hosts of a wave alone that had not begun when the budget was spent", async () => {
    const policy = { wave: 9, maxUnavailable: 9 };
    const fleet = new FakeFleet(names(9), { breaks: (host, model) => model === "B" && host === "box2", policy });
    fleet.stacksAtOnce = 1;
    await fleet.command("first", toB(names(9)));
    expect(running(fleet)).toEqual(names(9).map(() => "A"));
    const happened = fleet.happenings.flatMap((one) => (one.event === "host-ended" ? `${one.host} ${one.phase}` : []));
    expect(happened.filter((words) => words.endsWith(" proved"))).toEqual(["box0 proved", "box1 proved"]);
    expect([fleet.drained.size, fleet.exposed]).toEqual([0, 0]);
  });

  test("a host that is lost on the way is named, left out of the gateway, and taken back when the rollout is resumed", async () => {
    const fleet = new FakeFleet(names(3), { breaks: (_, model) => model === "B" });
    const box = fleet.boxes.get("box0");
    const emitted = fleet.happenings.push.bind(fleet.happenings);
    fleet.happenings.push = (...happenings) => {
      // Gone in the middle of the change.
      if (box && happenings.some((one) => one.event === "host" && one.doing === "updating")) box.alive = false;
      return emitted(...happenings);
    };
    await fleet.command("first", toB(names(3)));
    expect(newest(fleet)).toMatchObject({ state: "failed", why: expect.stringMatching(/box0 could not go back/) });
    expect([...fleet.drained]).toEqual(["box0"]);
    fleet.happenings.push = emitted;
    if (box) box.alive = true;
    await fleet.command("second", "resume");
    expect(running(fleet)).toEqual(["A", "A", "A"]);
    expect(newest(fleet)?.state).toBe("returned");
    expect(fleet.drained.size).toBe(0);
  });

  test("nothing is changed on a host that the gateway would go on sending to, but it goes back without its help", async () => {
    let answers = false;
    const fleet = await rolled({ ...well, drains: () => answers });
    expect(running(fleet)).toEqual(["A", "A", "A", "A"]);
    expect(newest(fleet)).toMatchObject({ state: "returned", why: expect.stringMatching(/gateway does not answer/) });
    answers = true;
    await fleet.command("second", toB(names(4)));
    expect(running(fleet)).toEqual(["B", "B", "B", "B"]);
  });

  test("who wants it to stop is heard between two waves, and it can go on", async () => {
    const fleet = new FakeFleet(names(4), well);
    const stop = new AbortController();
    let changes = 0;
    const emitted = fleet.happenings.push.bind(fleet.happenings);
    fleet.happenings.push = (...happenings) => {
      if (happenings.some((one) => one.event === "host-ended") && ++changes === 2) stop.abort();
      return emitted(...happenings);
    };
    await fleet.command("first", toB(names(4)), undefined, stop.signal);
    expect(running(fleet)).toEqual(["B", "B", "A", "A"]);
    expect(fleet.journal.lease).toBeNull();
    await expect(fleet.command("second", toB(names(4)))).rejects.toThrow(/is paused.*--resume/);
    await fleet.command("third", "resume");
    expect(running(fleet)).toEqual(["B", "B", "B", "B"]);
  });

  test("a wish to pause that no runner heard does not stop the one that resumes", async () => {
    const fleet = new FakeFleet(names(2), well);
    await fleet.killedAt(30, toB(names(2)));
    fleet.journal = { ...fleet.journal, wish: { what: "pause", user: "bob", machine: "laptop" } };
    await fleet.command("second", "resume");
    expect(running(fleet)).toEqual(["B", "B"]);
  });

  test("a wish to abort takes back what was changed", async () => {
    const fleet = new FakeFleet(names(4), well);
    const emitted = fleet.happenings.push.bind(fleet.happenings);
    fleet.happenings.push = (...happenings) => {
      if (happenings.some((one) => one.event === "host-ended" && one.host === "box1"))
        fleet.journal = { ...fleet.journal, wish: { what: "abort", user: "bob", machine: "laptop" } };
      return emitted(...happenings);
    };
    await fleet.command("first", toB(names(4)));
    expect(running(fleet)).toEqual(["A", "A", "A", "A"]);
    expect(newest(fleet)).toMatchObject({ state: "returned", why: "aborted by bob on laptop" });
  });
});

test("the hosts of a wave are written down together: the journal is not what a large rollout waits for", async () => {
  const writes = async (count: number) => {
    const fleet = new FakeFleet(names(count), { ...well, policy: { wave: count, maxUnavailable: count } });
    await fleet.command("first", toB(names(count)));
    expect(running(fleet)).toEqual(names(count).map(() => "B"));
    return fleet.writes;
  };
  expect(await writes(20)).toBe(await writes(5));
});

test("a host that failed is written down at once: another look would not find what its change has shown", async () => {
  const policy = { wave: 3, maxUnavailable: 3, errorBudget: 2 };
  const fleet = new FakeFleet(names(4), { breaks: (host, model) => model === "B" && host === "box2", policy });
  const written: unknown[] = [];
  const emitted = fleet.happenings.push.bind(fleet.happenings);
  fleet.happenings.push = (...happenings) => {
    if (happenings.some((one) => one.event === "host-ended" && one.host === "box3"))
      written.push(newest(fleet)?.hosts.box2?.phase);
    return emitted(...happenings);
  };
  await fleet.command("first", toB(names(4)));
  expect(written[0]).toBe("failed");
});

test("room for stacks grows with processors and memory, and there is always room for one", () => {
  const gibibytes = 2 ** 30;
  expect([
    stacksOn(2, 24 * gibibytes),
    stacksOn(2, 7 * gibibytes),
    stacksOn(64, 16 * gibibytes),
    stacksOn(1, 1),
  ]).toEqual([16, 8, 20, 1]);
});

/** A person stops the command when the first host is through. */
async function stoppedAfterOne(fleet: FakeFleet, hosts: readonly string[]): Promise<void> {
  const stop = new AbortController();
  const emitted = fleet.happenings.push.bind(fleet.happenings);
  fleet.happenings.push = (...happenings) => {
    if (happenings.some((one) => one.event === "host-ended")) stop.abort();
    return emitted(...happenings);
  };
  await fleet.command("first", toB(hosts), undefined, stop.signal);
}

test("a host that lost its change while nobody ran is changed again on resume", async () => {
  const fleet = new FakeFleet(names(4), well);
  await stoppedAfterOne(fleet, names(4));
  expect(running(fleet)).toEqual(["B", "A", "A", "A"]);
  const box = fleet.boxes.get("box0");
  if (box) box.torn = true;
  await fleet.command("second", "resume");
  expect([running(fleet), box?.torn]).toEqual([["B", "B", "B", "B"], false]);
});

test("a host that lost its change goes back all the same when the rollout is aborted", async () => {
  const fleet = new FakeFleet(names(3), well);
  await stoppedAfterOne(fleet, names(3));
  const box = fleet.boxes.get("box0");
  if (box) box.torn = true;
  fleet.journal = { ...fleet.journal, wish: { what: "abort", user: "bob", machine: "laptop" } };
  await fleet.command("second", "resume");
  expect([running(fleet), box?.torn]).toEqual([["A", "A", "A"], false]);
});

describe("a runner that is killed at any moment", () => {
  const scenarios: readonly [string, Behaviour, string][] = [
    ["whose change is good", { ...well, policy: { wave: 2, maxUnavailable: 2 } }, "B"],
    ["whose canary fails", { breaks: (_, model) => model === "B" }, "A"],
    [
      "whose later host fails",
      { breaks: (host, model) => model === "B" && host === "box2", policy: { wave: 2, maxUnavailable: 2 } },
      "A",
    ],
  ];
  test.each(scenarios)("%s leaves what --resume brings to its right end", async (_, behaviour, end) => {
    let lived = false;
    let moments = 0;
    for (; !lived; moments++) {
      const fleet = new FakeFleet(names(4), behaviour);
      lived = await fleet.killedAt(moments, toB(names(4)));
      // Nobody had begun anything.
      if (newest(fleet) === undefined) continue;
      if (!lived) {
        // Whatever is out is known to be out.
        for (const host of fleet.drained)
          expect(["changing", "returning", "failed", "proved"], `${host} at ${moments}`).toContain(
            newest(fleet)?.hosts[host]?.phase,
          );
        if (fleet.journal.lease !== null) await fleet.command("second", "resume");
      }
      expect(new Set(running(fleet)), `killed at ${moments}`).toEqual(new Set([end]));
      expect([...fleet.drained], `killed at ${moments}`).toEqual([]);
      expect(fleet.journal.lease, `killed at ${moments}`).toBeNull();
    }
    expect(moments).toBeGreaterThan(40);
  });

  test("and killed again while it resumes ends right all the same", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(150),
        fc.nat(150),
        fc.constantFrom(...scenarios),
        async (first, second, [, behaviour, end]) => {
          const fleet = new FakeFleet(names(4), behaviour);
          await fleet.killedAt(first, toB(names(4)));
          if (newest(fleet) === undefined) return;
          if (fleet.journal.lease !== null) await fleet.killedAt(second, "resume", "second");
          if (fleet.journal.lease !== null) await fleet.command("third", "resume");
          expect(new Set(running(fleet))).toEqual(new Set([end]));
          expect([...fleet.drained]).toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("is not replaced while it lives: who begins or resumes is refused, told whose it is, and touches nothing", async () => {
    const fleet = new FakeFleet(names(3), well);
    await fleet.killedAt(30, toB(names(3)));
    const before = JSON.stringify([...fleet.boxes, fleet.journal]);
    fleet.othersLive = true;
    for (const how of [toB(names(3)), "resume"] as const)
      await expect(fleet.command("second", how)).rejects.toThrow(/rollout 1 is running: ada on desk.*fleet status/);
    expect(JSON.stringify([...fleet.boxes, fleet.journal])).toBe(before);
  });

  test("finds itself overtaken, says so without a stack, and touches nothing more", async () => {
    const fleet = new FakeFleet(names(3), well);
    const emitted = fleet.happenings.push.bind(fleet.happenings);
    let changes = 0;
    fleet.happenings.push = (...happenings) => {
      if (happenings.some((one) => one.event === "host-ended") && ++changes === 1)
        fleet.journal = {
          ...fleet.journal,
          lease: { id: "other", user: "bob", machine: "laptop", pid: 2, heartbeat: fleet.now().toString() },
        };
      return emitted(...happenings);
    };
    await fleet.command("first", toB(names(3)));
    expect(running(fleet)).toEqual(["B", "A", "A"]);
    expect(fleet.journal.lease?.id).toBe("other");
    expect(fleet.overtaken).toBeInstanceOf(CliFault);
    expect(fleet.overtaken?.message).toMatch(/^another runner has taken this rollout over.*fleet status/);
  });
});

test("never are more hosts away than may be", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(9),
      async (count, maxUnavailable, wave, broken) => {
        const breaks = (host: string, model: string) => model === "B" && host === `box${broken}`;
        const fleet = await rolled({ breaks, policy: { wave, maxUnavailable } }, count);
        expect(fleet.mostAway).toBeLessThanOrEqual(Math.min(wave, maxUnavailable));
        expect(new Set(running(fleet))).toEqual(new Set([broken < count ? "A" : "B"]));
        expect(fleet.drained.size).toBe(0);
      },
    ),
    { numRuns: 100 },
  );
});
