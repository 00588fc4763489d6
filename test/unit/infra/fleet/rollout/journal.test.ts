/** What the journal promises to who asks it later. */
import { describe, expect, test } from "vitest";
import type { Gateway } from "../../../../../infra/fleet/rollout/effects.ts";
import { type Doing, eventLine, type Happening, type RolloutEvent } from "../../../../../infra/fleet/rollout/events.ts";
import {
  begun,
  emptyJournal,
  ended,
  isOver,
  type Journal,
  journalSchema,
  type Phase,
  previewed,
  type SpecText,
  specsAfter,
  type Wanted,
  withEnd,
  withHosts,
  withNewest,
} from "../../../../../infra/fleet/rollout/journal.ts";
import { backendSeenFrom } from "../../../../../infra/fleet/rollout/store.ts";

const by = { user: "ada", machine: "desk" };
const at = "2026-11-28T12:00:00Z";
const wanted = (hosts: Wanted["hosts"], revision: string | null = null): Wanted => ({
  ...{ kind: "rollout", revision, by, at, hosts },
});

interface Change {
  readonly before: SpecText | null;
  readonly after: SpecText;
}
const of = <K extends keyof Change>(hosts: Readonly<Record<string, Change>>, which: K) =>
  Object.entries(hosts).map(([name, change]): [string, Change[K]] => [name, change[which]]);

function played(
  journal: Journal,
  hosts: Readonly<Record<string, Change>>,
  phase: Phase = "proved",
  revision: string | null = null,
) {
  const start = begun(journal, wanted(Object.fromEntries(of(hosts, "after")), revision));
  const running = previewed(start, new Map(of(hosts, "before")));
  const all = Object.fromEntries(Object.keys(hosts).map((name) => [name, { phase }]));
  return ended(
    withHosts(running, all),
    phase === "proved" ? "done" : "returned",
    phase === "proved" ? null : "it thinks",
    at,
  );
}

const first = played(emptyJournal, { a: { before: null, after: "A1" }, b: { before: "B0", after: "B1" } });
const second = played(first, { a: { before: "A1", after: "A2" } });
const third = played(second, { b: { before: "B1", after: "B2" }, c: { before: "C0", after: "C1" } }, "returned", "abc");

describe("the journal of a fleet's rollouts", () => {
  test("knows what each host had when any rollout was over", () => {
    expect(specsAfter(third, 3)).toEqual({ a: "A2", b: "B1", c: "C0" });
    expect(specsAfter(third, 2)).toEqual({ a: "A2", b: "B1", c: "C0" });
    expect(specsAfter(third, 1)).toEqual({ a: "A1", b: "B1", c: "C0" });
    expect(specsAfter(third, 0)).toEqual({ a: null, b: "B0", c: "C0" });
  });

  test("knows what hosts had from rollouts that touched them, not from one that was refused", () => {
    const refused = ended(begun(second, wanted({ a: "A3" })), "refused", "the preview failed", at);
    expect(specsAfter(refused, 2)).toEqual({ a: "A2", b: "B1" });
    expect(specsAfter(refused, 3)).toEqual({ a: "A2", b: "B1" });
  });

  test("holds a revision that was taken back until it has gone well", () => {
    expect(third.held).toEqual([{ revision: "abc", rollout: 3, why: "it thinks" }]);
    const again = played(third, { b: { before: "B1", after: "B2" } }, "proved", "abc");
    expect(again.held).toEqual([]);
  });

  test("holds what a person has rolled back, and frees what was gone back to", () => {
    const good = played(emptyJournal, { a: { before: "A0", after: "A1" } }, "proved", "good");
    const bad = played(good, { a: { before: "A1", after: "A2" } }, "proved", "bad");
    const hosts = { a: { before: "A2", after: "A1" } };
    const back = begun(bad, { ...wanted({ a: "A1" }, "good"), kind: "rollback" });
    const over = ended(withHosts(back, { a: { phase: "proved" } }), "done", null, at);
    expect(over.held).toEqual([{ revision: "bad", rollout: 3, why: "rolled back by ada on desk" }]);
    expect(ended(back, "refused", "the preview failed", at).held).toEqual([]);
    expect(played(over, hosts, "proved", "bad").held).toEqual([]);
  });

  test("forgets the oldest rollouts and the specs that only they had", () => {
    let journal = emptyJournal;
    for (let index = 0; index < 30; index++)
      journal = played(journal, { a: { before: `A${index}`, after: `A${index + 1}` } });
    expect(journal.rollouts.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, index) => 30 - index));
    expect(Object.keys(journal.specs)).toHaveLength(21);
  });

  test("takes what became of a host once, and not when the host is at something else since", () => {
    const end = { phase: "proved", why: null, seconds: 9 } as const;
    const at = (phase: Phase) => withHosts(begun(emptyJournal, wanted({ a: "B" })), { a: { phase } });
    const told = (journal: Journal) => withEnd(journal, "a", end).rollouts[0]?.hosts.a?.phase;
    expect(told(at("changing"))).toBe("proved");
    expect(told(at("returning"))).toBe("returning");
    expect(told(at("failed"))).toBe("failed");
  });

  test("is read back as it was written", () => {
    expect(journalSchema.parse(JSON.parse(JSON.stringify(third)))).toEqual(third);
    expect(isOver(third.rollouts[0] as Journal["rollouts"][number])).toBe(true);
    expect(withNewest(emptyJournal, { state: "done" })).toBe(emptyJournal);
  });
});

test("each event of a rollout is one line for a log", () => {
  const line = (happening: Happening) => eventLine({ at, rollout: 3, ...happening } satisfies RolloutEvent);
  const doing: Doing = "draining";
  expect(line({ event: "host", host: "box1", doing })).toBe("12:00:00 box1: draining");
  expect(line({ event: "previewed", host: "box1", changes: { same: 9, update: 2 }, why: null })).toBe(
    "12:00:00 box1: preview 2 to update",
  );
  expect(line({ event: "ended", state: "returned", why: "box1 failed", seconds: 61.2 })).toBe(
    "12:00:00 rollout 3: returned after 61 s: box1 failed",
  );
});

test("what a proof found is told whole when a host fails, and in one line from then on", () => {
  const why = "it thought\n  asked: ready?\n  came: a thought";
  const line = (happening: Happening) => eventLine({ at, rollout: 3, ...happening }).slice("12:00:00 ".length);
  const ended = { event: "host-ended", host: "box1", seconds: 5, why } as const;
  expect(line({ ...ended, phase: "failed" })).toBe(`box1: failed after 5 s: ${why}`);
  expect(line({ event: "stopping", why })).toBe("stopping, hosts go back to what they had: it thought");
  expect(line({ ...ended, phase: "returned" })).toBe("box1: returned after 5 s");
  expect(line({ event: "ended", state: "returned", why, seconds: 9 })).toBe(
    "rollout 3: returned after 9 s: it thought",
  );
});

test("the journal is in the backend of the hosts, also when that is a folder named from the project's", () => {
  expect(backendSeenFrom("/project", "file://./state")).toBe("file:///project/state");
  for (const url of ["file:///state", "file://~", "s3://bucket?region=x"])
    expect(backendSeenFrom("/project", url)).toBe(url);
});

test("a host that is taken out of the gateway is put back", async () => {
  const out = new Set<string>();
  const gateway: Gateway = {
    drain: async (host) => void out.add(host),
    undrain: async (host) => void out.delete(host),
  };
  await gateway.drain("box1", 600);
  await gateway.undrain("box1");
  expect([...out]).toEqual([]);
});
