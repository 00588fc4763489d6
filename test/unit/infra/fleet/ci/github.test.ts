/** What is told to GitHub, against a stand-in of its REST API on loopback: one comment, one issue, however often it is told. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { GitHub } from "../../../../../infra/fleet/ci/github.ts";
import { StandInGitHub } from "../../../../fleet-ci/github.ts";

const marker = "<!-- ours -->";
let there: StandInGitHub;
let github: GitHub;

beforeEach(async () => {
  there = await StandInGitHub.start();
  github = GitHub.of(there.env);
});
afterEach(() => there[Symbol.asyncDispose]());

test("a pull request has one comment of ours, written anew when its hosts change", async () => {
  const first = await github.comment(7, marker, `${marker}\none`, true);
  expect(await github.comment(7, marker, `${marker}\ntwo`, true)).toBe(first);
  expect(there.comments.get(7)?.map(({ body }) => body)).toEqual([`${marker}\ntwo`]);
});

test("what was said before is taken back when nothing changes any more, and nothing is said where nothing was", async () => {
  expect(await github.comment(7, marker, `${marker}\nnone`, false)).toBeNull();
  await github.comment(8, marker, `${marker}\none`, true);
  await github.comment(8, marker, `${marker}\nnone`, false);
  expect(there.comments.get(8)?.map(({ body }) => body)).toEqual([`${marker}\nnone`]);
});

test("our comment is found among hundreds, and other people's are left alone", async () => {
  const others = Array.from({ length: 230 }, (_, id) => ({ id, number: id, html_url: "", body: `see ${marker}` }));
  there.comments.set(7, [...others]);
  await github.comment(7, marker, `${marker}\none`, true);
  await github.comment(7, marker, `${marker}\ntwo`, true);
  expect(there.comments.get(7)).toEqual([...others, expect.objectContaining({ body: `${marker}\ntwo` })]);
});

test("drift is one open issue: opened, written anew, closed, and opened again as a new one", async () => {
  const say = (body: string, wanted: boolean) => github.issue(marker, "drift", `${marker}\n${body}`, wanted);
  expect(await say("none", false)).toBeNull();
  await say("box1", true);
  await say("box1 box2", true);
  expect(there.issues).toMatchObject([{ body: `${marker}\nbox1 box2`, state: "open", labels: ["lmstack-drift"] }]);
  await say("none", false);
  expect(there.issues).toMatchObject([{ state: "closed" }]);
  await say("box3", true);
  expect(there.issues.map(({ state }) => state)).toEqual(["closed", "open"]);
});

test("a revert is proposed once", async () => {
  const first = await github.pull("lmstack/restore-1", "main", "title", "why");
  expect(await github.pull("lmstack/restore-1", "main", "title", "why")).toBe(first);
  expect(there.pulls).toMatchObject([{ head: "lmstack/restore-1", base: "main" }]);
});

test("what GitHub refuses is told with its status and its words, never with the token", async () => {
  const wrong = GitHub.of({ ...there.env, GITHUB_TOKEN: "ghs_wrong" });
  const failure: unknown = await wrong.comment(7, marker, marker, true).catch((error: unknown) => error);
  expect(String(failure)).toMatch(/GET issues\/7\/comments with 401: .*Bad credentials.*Next: give the job/);
  expect(String(failure)).not.toContain("ghs_wrong");
});

test("outside of a job it is said what is missing", () => {
  expect(() => GitHub.of({})).toThrow(/GITHUB_REPOSITORY and GITHUB_TOKEN are not set.*Next:/);
});
