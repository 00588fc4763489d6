/** What a team's repository does by itself: every job of our workflows, its steps run as written, with the real engine, on hosts that are stood in for at hostctl's JSON. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { formsFoundIn, formsOf } from "../e2e/planted-secret.ts";
import { fleetOf, type ModelName, models } from "../fleet-scale/fleet.ts";
import { type Place, StandInHosts } from "../fleet-scale/hosts.ts";
import { projectRoot } from "../pulumi/stack.ts";
import { Actions, type Event, type Ran } from "./actions.ts";
import { StandInGitHub } from "./github.ts";
import { TeamRepository } from "./repository.ts";

const planted = {
  passphrase: "passphrase-of-the-team-4711",
  sshKey: "key-of-the-team-4711",
  hostKey: "sk-of-the-hosts+4711/93d4=e5b8",
};
let scratch: string;
let hosts: StandInHosts;
let places: Place[];
let github: StandInGitHub;
let team: TeamRepository;
let actions: Actions;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "lmstack-ci-"));
  hosts = await StandInHosts.start(models);
  places = [await hosts.add("box1"), await hosts.add("box2")];
  github = await StandInGitHub.start();
  team = await TeamRepository.make(join(scratch, "team"));
  const state = `file://${join(scratch, "state")}`;
  await mkdir(join(scratch, "state"));
  // The clone's packages are there already.
  await mkdir(join(scratch, "bin"));
  await writeFile(join(scratch, "bin", "npm"), "#!/bin/sh\n", { mode: 0o755 });
  const env = { ...(process.env as Record<string, string>), ...hosts.env, ...github.env };
  // Jobs have what their workflow gives them.
  for (const name of [
    "GITHUB_TOKEN",
    "PULUMI_BACKEND_URL",
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "LMSTACK_NODE",
  ])
    delete env[name];
  await declare("first-model", "first-model");
  const own = {
    ...{ ...env, LMSTACK_NODE: process.execPath },
    ...{ PULUMI_BACKEND_URL: state, PULUMI_CONFIG_PASSPHRASE: planted.passphrase },
  };
  await team.lmstack(own, "fleet", "sync", "--yes");
  for (const { name } of places)
    await execa("pulumi", ["config", "set", "--secret", "lmstack:secret.team-a", "--stack", name], {
      ...{ cwd: team.folder, env: own, extendEnv: false, input: planted.hostKey },
    });
  actions = new Actions({
    origin: team.folder,
    scratch,
    env: { ...env, PATH: `${join(scratch, "bin")}:${env.PATH}` },
    vars: { LMSTACK_FLEET: "fleet.yaml" },
    secrets: {
      PULUMI_BACKEND_URL: state,
      PULUMI_CONFIG_PASSPHRASE: planted.passphrase,
      LMSTACK_SSH_KEY: planted.sshKey,
      GITHUB_TOKEN: github.token,
    },
    packages: projectRoot,
  });
});
afterAll(async () => {
  await hosts?.[Symbol.asyncDispose]();
  await github?.[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true, force: true });
});

/** Each host has a profile of its own, of which a pull request changes one. */
async function declare(one: ModelName, other: ModelName): Promise<void> {
  const { profiles, ...fleet } = fleetOf(places, one);
  const box2 = { ...fleet.hosts.box2, profile: "other" };
  const extended = { extends: ["keyed"] };
  await team.write({
    profiles: {
      keyed: { spec: { proxy: { keys: ["team-a"] } } },
      box: { ...profiles.box, ...extended },
      other: { ...fleetOf(places, other).profiles.box, ...extended },
    },
    hosts: { ...fleet.hosts, box2 },
    rollout: { maxUnavailable: 2, keepServing: 0, bakeSeconds: 0 },
  });
}

const ends = (ran: readonly Ran[]) => ran.map(({ job, result }) => `${job}: ${result}`);
const logOf = (ran: readonly Ran[]) => ran.map(({ job, log }) => `== ${job}\n${log}`).join("\n");
const merged = (sha: string) => actions.run("fleet-deploy.yml", { name: "push", sha, ref: "refs/heads/main" });
const pulled = (sha: string) =>
  actions.run("fleet-preview.yml", {
    ...{ name: "pull_request", sha, ref: "refs/pull/7/merge" },
    payload: { pull_request: { number: 7, head: { repo: { full_name: github.repository } } } },
  } satisfies Event);
const night = async (sha: string) => actions.run("fleet-drift.yml", { name: "schedule", sha, ref: "refs/heads/main" });
const loaded = () => places.map((place) => hosts.loadedOn(place).join());
const updated = (ran: readonly Ran[]) => [
  ...new Set([...logOf(ran).matchAll(/(box\d): updating/g)].map(([, host]) => host)),
];

test("of two merges at once one deploys both hosts, and the other touches none", async () => {
  const first = await team.commit("A fleet");
  const both = await Promise.all([merged(first), merged(first)]);
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
  const ran = await pulled(await team.commit("Another model"));
  expect(ends(ran), logOf(ran)).toEqual([
    "fleet-look.yml/hosts: success",
    "fleet-look.yml/look (box2): success",
    "fleet-look.yml/tell: success",
  ]);
  const [comment, ...more] = github.comments.get(7) ?? [];
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
  const ran = await merged(await team.git("rev-parse", "HEAD"));
  expect(ends(ran), logOf(ran)).toEqual(["fleet-deploy.yml/change: success"]);
  expect(updated(ran)).toEqual(["box2"]);
  expect(loaded()).toEqual(["", "second-model"]);
  for (const [id, instance] of had) onBox1.set(id, instance);
  const again = await merged(await team.commit("Nothing about hosts"));
  expect(logOf(again)).toContain("nothing to deploy");
  expect(updated(again)).toEqual([]);
});

test("a revision that goes wrong is taken back, a pull request says so, and no job tries it again", async () => {
  hosts.at(places[1] as Place).refuses.add("first-model");
  await declare("first-model", "first-model");
  const bad = await team.commit("A model that box2 does not load");
  const failed = await merged(bad);
  expect(ends(failed), logOf(failed)).toEqual(["fleet-deploy.yml/change: failure"]);
  expect(logOf(failed)).toContain("first-model does not load");
  expect(loaded()).toEqual(["first-model", "second-model"]);
  const [proposed] = github.pulls;
  expect(proposed).toMatchObject({ base: "main", body: expect.stringContaining("first-model does not load") });
  expect(await team.git("diff", "--stat", `${bad}~2`, proposed?.head ?? "")).toBe("");

  const again = await merged(await team.commit("Words"));
  expect(ends(again)).toEqual(["fleet-deploy.yml/change: success"]);
  expect(logOf(again)).toMatch(/is held: rollout \d+ was taken back/);
  expect(updated(again)).toEqual([]);
});

test("the nightly look opens one issue with what drifted, without what a held revision wants", async () => {
  const sha = await team.git("rev-parse", "HEAD");
  const box1 = hosts.at(places[0] as Place);
  box1.loaded.clear();
  const found = await night(sha);
  expect(ends(found), logOf(found)).toContain("fleet-look.yml/look (box1): success");
  const [issue] = github.issues;
  expect(issue).toMatchObject({ state: "open", title: "lmstack: 1 of 2 hosts not as declared" });
  expect(issue?.body).toMatch(/\*\*box1\*\*[\s\S]*Not as it was left:\n- model-first-model: /);
  expect(issue?.body).not.toContain("**box2**");
});

test("nothing that was planted, the hosts' key included, is in a log, a summary, an artifact, a comment, or an issue", async () => {
  const artifacts = await actions.artifacts();
  expect([...artifacts.values()].join("\n")).toContain("first-model does not load");
  const texts = new Map([
    ...artifacts,
    ...actions.ran.map(({ job, log }): [string, string] => [`the log and the summary of ${job}`, log]),
    ["what GitHub was told", JSON.stringify([...github.comments.values(), github.issues, github.pulls])],
  ]);
  const secrets = [...Object.values(planted), github.token].map(formsOf);
  const leaks = [...texts].filter(([, text]) => secrets.some((forms) => formsFoundIn(text, forms).length > 0));
  expect(leaks.map(([where]) => where)).toEqual([]);
});
