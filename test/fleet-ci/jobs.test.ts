/** What a team's repository does by itself: every job of our workflows, its steps run as written, with the real engine, on hosts that are stood in for at hostctl's JSON. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fleetOf, type ModelName, models } from "../fleet-scale/fleet.ts";
import { type Place, StandInHosts } from "../fleet-scale/hosts.ts";
import type { Ran } from "./actions.ts";
import { ends, logOf, Team, updatedIn } from "./team.ts";

const planted = {
  passphrase: "passphrase-of-the-team-4711",
  sshKey: "key-of-the-team-4711",
  hostKey: "sk-of-the-hosts+4711/93d4=e5b8",
};
let state: string;
let hosts: StandInHosts;
let places: Place[];
let team: Team;

beforeAll(async () => {
  hosts = await StandInHosts.start(models);
  places = [await hosts.add("box1"), await hosts.add("box2")];
  state = await mkdtemp(join(tmpdir(), "lmstack-ci-"));
  const { passphrase, sshKey } = planted;
  team = await Team.open({ env: { ...process.env, ...hosts.env }, backend: `file://${state}`, passphrase, sshKey });
  await declare("first-model", "first-model");
  await team.repository.lmstack(team.env, "fleet", "sync", "--yes");
  for (const { name } of places)
    await execa("pulumi", ["config", "set", "--secret", "lmstack:secret.team-a", "--stack", name], {
      ...{ cwd: team.repository.folder, env: team.env, extendEnv: false, input: planted.hostKey },
    });
});
afterAll(async () => {
  await hosts?.[Symbol.asyncDispose]();
  await team?.[Symbol.asyncDispose]();
  await rm(state, { recursive: true, force: true });
});

/** Each host has a profile of its own, of which a pull request changes one. */
async function declare(one: ModelName, other: ModelName): Promise<void> {
  const { profiles, ...fleet } = fleetOf(places, one);
  const box2 = { ...fleet.hosts.box2, profile: "other" };
  const extended = { extends: ["keyed"] };
  await team.repository.write({
    profiles: {
      keyed: { spec: { proxy: { keys: ["team-a"] } } },
      box: { ...profiles.box, ...extended },
      other: { ...fleetOf(places, other).profiles.box, ...extended },
    },
    hosts: { ...fleet.hosts, box2 },
    rollout: { maxUnavailable: 2, keepServing: 0, bakeSeconds: 0 },
  });
}

const loaded = () => places.map((place) => hosts.loadedOn(place).join());
const updated = (ran: readonly Ran[]) =>
  updatedIn(
    ran,
    places.map(({ name }) => name),
  );

test("of two merges at once one deploys both hosts, and the other touches none", async () => {
  const first = await team.repository.commit("A fleet");
  const both = await Promise.all([team.merged(first), team.merged(first)]);
  const logs = both.map(logOf).join("\n\n");
  expect(both.flatMap(ends).sort(), logs).toEqual([
    "fleet-deploy.yml/change: failure",
    "fleet-deploy.yml/change: success",
  ]);
  expect(both.map(updated).sort(), logs).toEqual([[], ["box1", "box2"]]);
  expect(loaded()).toEqual(["first-model", "first-model"]);
});

test("a pull request that changes one profile has one comment with exactly its host, and nothing is changed", async () => {
  await declare("first-model", "second-model");
  const ran = await team.pulled(await team.repository.commit("Another model"));
  expect(ends(ran), logOf(ran)).toEqual([
    "fleet-look.yml/hosts: success",
    "fleet-look.yml/look (box2): success",
    "fleet-look.yml/tell: success",
  ]);
  const [comment, ...more] = team.comments;
  expect(more).toEqual([]);
  expect(comment?.body).toMatch(/1 of 2 hosts would change[\s\S]*\*\*box2\*\* \| its spec/);
  expect(comment?.body).toContain("-   - id: first-model");
  expect(comment?.body).not.toContain("box1");
  expect(loaded()).toEqual(["first-model", "first-model"]);
});

test("its merge deploys exactly that host, not one that drifted meanwhile, and a merge that changes nothing deploys nothing", async () => {
  const { loaded: onBox1 } = hosts.at(places[0] as Place);
  const had = new Map(onBox1);
  onBox1.clear();
  const ran = await team.merged(await team.repository.git("rev-parse", "HEAD"));
  expect(ends(ran), logOf(ran)).toEqual(["fleet-deploy.yml/change: success"]);
  expect(updated(ran)).toEqual(["box2"]);
  expect(loaded()).toEqual(["", "second-model"]);
  for (const [id, instance] of had) onBox1.set(id, instance);
  const again = await team.merged(await team.repository.commit("Nothing about hosts"));
  expect(logOf(again)).toContain("nothing to deploy");
  expect(updated(again)).toEqual([]);
});

test("a revision that goes wrong is taken back, a pull request says so, and no job tries it again", async () => {
  hosts.at(places[1] as Place).refuses.add("first-model");
  await declare("first-model", "first-model");
  const bad = await team.repository.commit("A model that box2 does not load");
  const failed = await team.merged(bad);
  expect(ends(failed), logOf(failed)).toEqual(["fleet-deploy.yml/change: failure"]);
  expect(logOf(failed)).toContain("first-model does not load");
  expect(loaded()).toEqual(["first-model", "second-model"]);
  const [proposed] = team.github.pulls;
  expect(proposed).toMatchObject({ base: "main", body: expect.stringContaining("first-model does not load") });
  expect(await team.repository.git("diff", "--stat", `${bad}~2`, proposed?.head ?? "")).toBe("");

  const again = await team.merged(await team.repository.commit("Words"));
  expect(ends(again)).toEqual(["fleet-deploy.yml/change: success"]);
  expect(logOf(again)).toMatch(/is held: rollout \d+ was taken back/);
  expect(updated(again)).toEqual([]);
});

test("the nightly look opens one issue with what drifted, without what a held revision wants", async () => {
  const sha = await team.repository.git("rev-parse", "HEAD");
  const box1 = hosts.at(places[0] as Place);
  box1.loaded.clear();
  const found = await team.night(sha);
  expect(ends(found), logOf(found)).toContain("fleet-look.yml/look (box1): success");
  const [issue] = team.github.issues;
  expect(issue).toMatchObject({ state: "open", title: "lmstack: 1 of 2 hosts not as declared" });
  expect(issue?.body).toMatch(/\*\*box1\*\*[\s\S]*Not as it was left:\n- model-first-model: /);
  expect(issue?.body).not.toContain("**box2**");
});

test("nothing that was planted, the hosts' key included, is in a log, a summary, an artifact, a comment, or an issue", async () => {
  expect([...(await team.published()).values()].join("\n")).toContain("first-model does not load");
  expect(await team.leaks(Object.values(planted))).toEqual([]);
});
