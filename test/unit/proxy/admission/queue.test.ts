import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Effect, type Entrant, lowPatience, Queue } from "../../../../proxy/admission/queue.ts";

interface Asking extends Entrant {
  readonly name: string;
}

const patienceMs = 10_000;
const keys = ["ann", "bob", "cy"] as const;

type Step =
  | { readonly do: "enter"; readonly key: string; readonly low: boolean; readonly thread: string | undefined }
  | { readonly do: "finish" | "leave"; readonly which: number }
  | { readonly do: "hold" | "pass"; readonly ms: number }
  | { readonly do: "claim" | "resize"; readonly count: number }
  | { readonly do: "resume" }
  | { readonly do: "missing"; readonly missing: boolean };

const enters = fc.record({
  do: fc.constant("enter" as const),
  key: fc.constantFrom(...keys),
  low: fc.boolean(),
  thread: fc.constantFrom(undefined, "t1", "t2"),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: enters, weight: 6 },
  { arbitrary: fc.record({ do: fc.constantFrom("finish" as const, "leave" as const), which: fc.nat(9) }), weight: 5 },
  { arbitrary: fc.record({ do: fc.constantFrom("hold" as const, "pass" as const), ms: fc.nat(9_000) }), weight: 2 },
  { arbitrary: fc.record({ do: fc.constant("claim" as const), count: fc.nat(4) }), weight: 1 },
  { arbitrary: fc.record({ do: fc.constant("resize" as const), count: fc.integer({ min: 1, max: 4 }) }), weight: 1 },
  { arbitrary: fc.record({ do: fc.constant("resume" as const) }), weight: 1 },
  { arbitrary: fc.record({ do: fc.constant("missing" as const), missing: fc.boolean() }), weight: 1 },
);
const history = fc.record({
  slots: fc.constantFrom(1, 2, 3, Number.POSITIVE_INFINITY),
  limit: fc.constantFrom(0, 3, 50),
  steps: fc.array(step, { maxLength: 60 }),
});

/** A queue in use, whose every answer is checked against the promises. */
class World {
  readonly queue: Queue<Asking>;
  readonly running: Asking[] = [];
  readonly waiting: Asking[] = [];
  readonly limit: number;
  now = 1_000_000;
  #names = 0;

  constructor(slots: number, limit: number) {
    this.queue = new Queue<Asking>(slots);
    this.limit = limit;
  }

  play(one: Step): readonly Asking[] {
    const { queue } = this;
    switch (one.do) {
      case "enter":
        return this.enter(one.key, one.low, one.thread);
      case "finish":
        return this.finish(one.which);
      case "leave": {
        const [who] = this.waiting.splice(one.which % Math.max(1, this.waiting.length), 1);
        if (who !== undefined) expect(queue.leave(who)).toBe(true);
        if (who !== undefined) expect(queue.leave(who)).toBe(false);
        return this.#check([]);
      }
      case "hold":
        queue.hold(this.now + one.ms);
        return this.#check([]);
      case "resume":
        return this.#check(queue.resume());
      case "missing":
        return this.#check(queue.setMissing(one.missing));
      case "claim":
        return this.#check(queue.claim(one.count));
      case "resize":
        return this.#check(queue.resize(one.count));
      case "pass": {
        this.now += one.ms;
        const started = this.#check(queue.tick(this.now, patienceMs));
        expect(queue.deadline(patienceMs)).toBeGreaterThan(this.now);
        return started;
      }
    }
  }

  enter(key: string, low = false, thread?: string): readonly Asking[] {
    const who = { name: String(this.#names++), key, low, thread, since: this.now };
    const held = this.queue.heldUntil !== null || this.queue.missing;
    const room = this.waiting.length < this.limit;
    const verdict = this.queue.enter(who, this.limit);
    if (verdict === "full") expect(held || room).toBe(false);
    if (verdict === "wait") this.waiting.push(who);
    if (verdict !== "start") return this.#check([]);
    expect(this.waiting).toEqual([]);
    this.waiting.push(who);
    return this.#check([{ do: "start", who }]);
  }

  finish(which = 0): readonly Asking[] {
    const [who] = this.running.splice(which % Math.max(1, this.running.length), 1);
    return who === undefined ? [] : this.#check(this.queue.finish(who.thread, 100));
  }

  #check(effects: readonly Effect<Asking>[]): readonly Asking[] {
    const { queue } = this;
    const started = effects.filter((effect) => effect.do === "start").map(({ who }) => who);
    for (const who of started) {
      const before = this.waiting.filter(({ key, low }) => key === who.key && low === who.low);
      expect(before[0]).toBe(who);
      this.waiting.splice(this.waiting.indexOf(who), 1);
      this.running.push(who);
    }
    for (const { who } of effects.filter((effect) => effect.do === "refuse")) {
      expect(this.waiting.splice(this.waiting.indexOf(who), 1)).toEqual([who]);
      expect(this.now - who.since).toBeGreaterThanOrEqual(patienceMs);
    }
    const busy = queue.running + queue.claimed;
    if (started.length > 0) {
      expect(busy).toBeLessThanOrEqual(queue.slots);
      expect(queue.heldUntil).toBeNull();
      expect(queue.missing).toBe(false);
    }
    expect(queue.running).toBe(this.running.length);
    expect(queue.queued).toBe(this.waiting.length);
    if (queue.heldUntil === null && !queue.missing && busy < queue.slots) expect(this.waiting).toEqual([]);
    return started;
  }
}

function played({ slots, limit, steps }: { slots: number; limit: number; steps: readonly Step[] }): World {
  const world = new World(slots, limit);
  for (const one of steps) world.play(one);
  return world;
}

describe("a model's queue", () => {
  it("never runs more than there are slots, never leaves one idle, loses nobody, and keeps each key's own order", () => {
    fc.assert(
      fc.property(history, (past) => {
        played(past);
      }),
      { numRuns: 1_000 },
    );
  });

  it("lets everybody start after a bounded number of ends, however many others keep coming", () => {
    fc.assert(
      fc.property(history, fc.array(enters, { minLength: 1, maxLength: 20 }), (past, others) => {
        const world = played(past);
        world.play({ do: "claim", count: 0 });
        world.play({ do: "resume" });
        world.play({ do: "missing", missing: false });
        world.play({ do: "resize", count: 1 });
        const left = new Set(world.waiting);
        const longest = Math.max(0, ...keys.map((key) => world.waiting.filter((one) => one.key === key).length));
        const bound = world.running.length + (longest + 2) * keys.length * (lowPatience + 1);
        for (let ends = 0; ends < bound; ends++) {
          const other = others[ends % others.length];
          if (other !== undefined) world.play({ ...other, low: false });
          for (const who of world.finish(ends)) left.delete(who);
        }
        expect([...left]).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it("gives keys that both wait equally many turns, one more or two at most", () => {
    fc.assert(
      fc.property(
        history,
        fc.nat(12),
        fc.infiniteStream(fc.constantFrom(undefined, "t1", "t2")),
        (past, turns, threads) => {
          const world = played({ ...past, limit: 100 });
          world.play({ do: "claim", count: 0 });
          world.play({ do: "resume" });
          world.play({ do: "missing", missing: false });
          world.play({ do: "resize", count: 1 });
          for (let each = 0; each < 30; each++) {
            for (const key of ["ann", "bob"]) world.enter(key, false, threads.next().value);
          }
          const count = { ann: 0, bob: 0, cy: 0 };
          const ends = world.running.length + turns;
          for (let end = 0; end < ends; end++) {
            for (const who of world.finish()) if (!who.low) count[who.key as keyof typeof count]++;
          }
          expect(Math.abs(count.ann - count.bob)).toBeLessThanOrEqual(2);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("goes on as if those who left had never come", () => {
    const others = fc.array(enters, { maxLength: 15 }).map((all) => all.filter(({ key }) => key !== "cy"));
    fc.assert(
      fc.property(others, fc.nat(15), fc.boolean(), (asking, place, low) => {
        const order = (leaver: number) => {
          const world = new World(1, 50);
          world.enter("ann");
          for (const [index, one] of asking.entries()) {
            if (index === leaver) world.enter("cy", low);
            world.play(one);
          }
          const which = world.waiting.findIndex(({ key }) => key === "cy");
          if (which >= 0) world.play({ do: "leave", which });
          const turns: string[] = [];
          while (world.running.length > 0)
            turns.push(...world.finish().map((who) => `${who.key} ${who.low} ${who.thread}`));
          return turns;
        };
        expect(order(place)).toEqual(order(-1));
      }),
    );
  });

  it("serves titles after everything else, but lets no more than eight others pass each", () => {
    const world = new World(1, 50);
    world.enter("ann");
    for (let each = 0; each < 2; each++) world.enter("ann", true);
    for (let each = 0; each < 20; each++) world.enter("ann");
    const turns: boolean[] = [];
    for (let end = 0; end < 22; end++) turns.push(...world.finish().map(({ low }) => low));
    expect(turns.flatMap((low, turn) => (low ? [turn] : []))).toEqual([lowPatience, 2 * lowPatience + 1]);
  });

  it("gives a freed slot to the thread that had it, but not before those who have waited for their turn", () => {
    const world = new World(1, 50);
    world.enter("ann", false, "warm");
    for (const [key, thread] of [
      ["bob", "b"],
      ["ann", "warm"],
      ["ann", "warm"],
      ["cy", "c"],
    ] as const)
      world.enter(key, false, thread);
    const order = [];
    while (world.running.length > 0) order.push(...world.finish().map(({ key }) => key));
    expect(order).toEqual(["ann", "bob", "cy", "ann"]);
  });

  it("does not let a key whose thread is always warm keep another key waiting", () => {
    const world = new World(1, 50);
    for (let each = 0; each < 2; each++) world.enter("ann", false, "warm");
    world.enter("bob");
    const turns: string[] = [];
    for (let end = 0; end < 4; end++) {
      turns.push(...world.finish().map(({ key }) => key));
      world.enter("ann", false, "warm");
    }
    expect(turns.indexOf("bob")).toBe(1);
  });

  it("refuses while it is full, and has a place again as soon as one leaves", () => {
    const world = new World(1, 1);
    const ask = (): Asking => ({ name: "x", key: "ann", low: false, thread: undefined, since: 0 });
    world.enter("ann");
    world.enter("bob");
    expect(world.queue.enter(ask(), 1)).toBe("full");
    world.play({ do: "leave", which: 0 });
    expect(world.queue.enter(ask(), 1)).toBe("wait");
  });

  it("starts nothing while it is held, refuses nobody for want of room, and ends the hold by itself", () => {
    const world = new World(2, 1);
    world.play({ do: "hold", ms: 5_000 });
    for (let each = 0; each < 5; each++) world.enter("ann");
    expect(world.queue).toMatchObject({ running: 0, queued: 5 });
    expect(world.play({ do: "pass", ms: 4_999 })).toEqual([]);
    expect(world.play({ do: "pass", ms: 1 }).length).toBe(2);
    expect(world.queue.heldUntil).toBeNull();
  });

  it("starts nothing while the model is not loaded, refuses nobody for want of room, and goes on in order once it is", () => {
    const world = new World(2, 1);
    world.play({ do: "missing", missing: true });
    for (const key of ["ann", "bob", "cy"]) world.enter(key);
    expect(world.play({ do: "pass", ms: patienceMs - 1 })).toEqual([]);
    expect(world.play({ do: "missing", missing: false }).map(({ key }) => key)).toEqual(["ann", "bob"]);
  });

  it("goes on only when both are over, a hold and a load", () => {
    for (const last of ["missing", "resume"] as const) {
      const world = new World(1, 1);
      const ends = { missing: { do: "missing", missing: false }, resume: { do: "resume" } } as const;
      world.play({ do: "hold", ms: 5_000 });
      world.play({ do: "missing", missing: true });
      world.enter("ann");
      expect(world.play(ends[last === "missing" ? "resume" : "missing"])).toEqual([]);
      expect(world.play(ends[last]).length).toBe(1);
    }
  });

  it("counts the time of a hold as waiting", () => {
    const world = new World(1, 5);
    world.play({ do: "hold", ms: 60_000 });
    world.enter("ann");
    world.play({ do: "pass", ms: patienceMs - 1 });
    expect(world.queue.queued).toBe(1);
    world.play({ do: "pass", ms: 1 });
    expect(world.queue.queued).toBe(0);
  });

  it("estimates a retry from the latest service times, the slots and the hold, between 1 and 60 s", () => {
    const queue = new Queue<Asking>(2);
    expect(queue.retrySeconds(1, 0)).toBe(3);
    for (let each = 0; each < 50; each++) {
      queue.enter({ name: "x", key: "ann", low: false, thread: undefined, since: 0 }, 0);
      queue.finish(undefined, 20_000);
    }
    expect(queue.retrySeconds(1, 0)).toBe(10);
    expect(queue.retrySeconds(3, 0)).toBe(30);
    expect(queue.retrySeconds(100, 0)).toBe(60);
    queue.hold(15_000);
    expect(queue.retrySeconds(1, 0)).toBe(25);
    fc.assert(
      fc.property(fc.nat(1_000), fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }), (places, serviceMs) => {
        const other = new Queue<Asking>(1);
        other.enter({ name: "x", key: "ann", low: false, thread: undefined, since: 0 }, 0);
        other.finish(undefined, serviceMs);
        const seconds = other.retrySeconds(places, 0);
        expect(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60).toBe(true);
      }),
    );
  });
});
