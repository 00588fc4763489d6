/** What a job takes from earlier rollouts: what hosts have, what was taken back. */
import { expect, test } from "vitest";
import { behind, deployedRevision, heldAs } from "../../../../../infra/fleet/ci/earlier.ts";
import {
  begun,
  emptyJournal,
  ended,
  type Journal,
  type Phase,
  previewed,
  withHosts,
} from "../../../../../infra/fleet/rollout/journal.ts";
import { stableJson } from "../../../../../infra/spec/stable-json.ts";

const at = "2026-11-28T12:00:00.000Z";
const spec = (port: number) => stableJson({ proxy: { port } });
type End = Parameters<typeof ended>[1];

/** One more rollout of one host, which ended so. */
function after(
  journal: Journal,
  revision: string | null,
  end: End,
  phase: Phase,
  port: number,
  kind: "rollout" | "rollback" = "rollout",
): Journal {
  const by = { user: "anna", machine: "desk" };
  const hosts = { box1: spec(port) };
  const running = previewed(begun(journal, { kind, revision, by, at, hosts }), new Map([["box1", spec(port - 1)]]));
  return ended(withHosts(running, { box1: { phase } }), end, "it thought", at);
}
const same = (revision: string) => async (one: string) => one === revision;

test("what hosts have is the newest revision that went well, not one that was taken back or refused", () => {
  expect(deployedRevision(emptyJournal)).toBeNull();
  const a = after(emptyJournal, "aaa", "done", "proved", 1);
  const b = after(a, "bbb", "returned", "returned", 2);
  expect(deployedRevision(after(b, "ccc", "refused", "waiting", 3))).toBe("aaa");
  expect(deployedRevision(after(b, "ddd", "done", "proved", 4))).toBe("ddd");
});

test("after a rollback by hand nobody says which revision hosts have", () => {
  const a = after(emptyJournal, "aaa", "done", "proved", 1);
  expect(deployedRevision(after(a, "aaa", "done", "proved", 0, "rollback"))).toBeNull();
});

test("a host that a rollout passed by is still to be done, one that has what it should is not, of one unknown nothing is said", () => {
  const hosts = [
    { name: "box1", declared: { proxy: { port: 5 } } },
    { name: "box2", declared: {} },
  ];
  expect(behind(after(emptyJournal, "aaa", "done", "proved", 5), hosts)).toEqual([]);
  expect(behind(after(emptyJournal, "aaa", "done", "waiting", 5), hosts)).toEqual(["box1"]);
  expect(behind(emptyJournal, hosts)).toEqual([]);
});

test("a revision that was taken back is held, in words with what to do, until something else is declared", async () => {
  const b = after(after(emptyJournal, "aaa", "done", "proved", 1), "bbb", "returned", "returned", 2);
  expect(await heldAs(b, same("bbb"))).toMatch(/^bbb is held: rollout 2 was taken back \(it thought\)\. Next: merge/);
  expect(await heldAs(b, same("ccc"))).toBeNull();
  expect(await heldAs(after(b, "bbb", "done", "proved", 2), same("bbb"))).toBeNull();
});
