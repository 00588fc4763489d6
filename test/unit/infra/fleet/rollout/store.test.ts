/** The journal in a real stack, written by the real engine. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { LocalWorkspace } from "@pulumi/pulumi/automation/index.js";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { askPulumi, useEngine } from "../../../../../infra/cli/pulumi.ts";
import { emptyJournal, type Journal } from "../../../../../infra/fleet/rollout/journal.ts";
import { StackJournal } from "../../../../../infra/fleet/rollout/store.ts";

const deadPid = 2 ** 22 + 1;
const here = { machine: hostname(), runs: (pid: number) => pid !== deadPid };
const said: string[] = [];
const open = (patienceSeconds = 60) =>
  StackJournal.beside(undefined, { here, patienceSeconds, say: (line) => void said.push(line) });
const held =
  (revision: string) =>
  (journal: Journal): Journal => ({
    ...journal,
    held: [...journal.held, { revision, rollout: 1, why: "it thinks" }],
  });
let folder: string;

beforeAll(async () => {
  await useEngine();
  folder = await mkdtemp(join(tmpdir(), "lmstack-journal-"));
  await mkdir(join(folder, "state"));
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${folder}/state`);
  vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "of-the-test");
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** As a process of that number leaves it. */
async function lock(pid: number): Promise<string> {
  const locks = join(folder, "state/.pulumi/locks/organization/lmstack/fleet-rollouts");
  await mkdir(locks, { recursive: true });
  const timestamp = "2026-11-28T12:00:00Z";
  await writeFile(join(locks, "left.json"), JSON.stringify({ pid, username: "ada", hostname: hostname(), timestamp }));
  return locks;
}

test("a journal that nobody has written is empty, and what is written is there for whoever comes", async () => {
  const journal = await open();
  expect(await journal.read()).toEqual(emptyJournal);
  await journal.change(held("a"));
  // Several at once become one, in their order.
  await Promise.all(["b", "c", "d"].map((revision) => journal.change(held(revision))));
  const revisions = (await (await open()).read()).held.map(({ revision }) => revision);
  expect(revisions).toEqual(["a", "b", "c", "d"]);
});

test("a journal that is read in the moment in which another runner writes it is read again", async () => {
  const journal = await open();
  const before = await journal.change((same) => same);
  const attributes = join(folder, "state/.pulumi/stacks/lmstack/fleet-rollouts.json.attrs");
  const whole = await readFile(attributes);
  await truncate(attributes);
  const { exportStack } = LocalWorkspace.prototype;
  const asked = vi.spyOn(LocalWorkspace.prototype, "exportStack");
  asked.mockImplementationOnce(async function (this: LocalWorkspace, stack) {
    return await exportStack.call(this, stack).finally(() => writeFile(attributes, whole));
  });
  expect(await journal.read()).toEqual(before);
  expect(asked).toHaveBeenCalledTimes(2);
});

test("of two that want what only one can have, one is told that the other has it", async () => {
  const take =
    (id: string) =>
    (journal: Journal): Journal => {
      if (journal.lease) throw new Error(`taken by ${journal.lease.id}`);
      const lease = { id, user: "ada", machine: hostname(), pid: process.pid, heartbeat: "2026-11-28T12:00:00Z" };
      return { ...journal, lease };
    };
  const [one, other] = await Promise.all([open(), open()]);
  const ends = await Promise.allSettled([one.change(take("one")), other.change(take("other"))]);
  const { lease } = await one.read();
  expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(ends.find((end) => end.status === "rejected")?.reason.message).toMatch(`taken by ${lease?.id}`);
});

test("a lock that a killed process left is taken away, and that is said", async () => {
  const locks = await lock(deadPid);
  await (await open()).change(held("e"));
  expect(await readdir(locks)).toEqual([]);
  expect(said.join("\n")).toMatch(/nobody is behind any more is taken away.*process 4194305/);
});

test("a lock of a process that lives stays, and who waits for it is told whose it is and what to do", async () => {
  const locks = await lock(1);
  await expect((await open(1)).change(held("f"))).rejects.toThrow(/locked by ada on .* \(process 1\).*pulumi cancel/);
  expect(await readdir(locks)).toEqual(["left.json"]);
  await rm(join(locks, "left.json"));
});

test("a lock that goes while Pulumi looks at it is no failure", async () => {
  const locks = await lock(1);
  await rm(join(locks, "left.json"));
  // Listed, and not there when it is read.
  await symlink("nowhere.json", join(locks, "going.json"));
  const journal = await StackJournal.beside(undefined, {
    ...{ here, patienceSeconds: 60 },
    say: () => void rm(join(locks, "going.json")),
  });
  expect((await journal.change(held("g"))).held.at(-1)?.revision).toBe("g");
});

test("nothing of it is a secret that a person would have to give", async () => {
  const outputs = await askPulumi(["stack", "export"], "fleet-rollouts");
  expect(outputs).toContain("it thinks");
  expect(outputs).not.toContain("ciphertext");
});

test("two first rollouts at once make one journal, with what both wrote", async () => {
  const fresh = join(folder, "fresh");
  await mkdir(fresh);
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${fresh}`);
  const [one, other] = await Promise.all([open(), open()]);
  await Promise.all([one.change(held("a")), other.change(held("b"))]);
  const revisions = (await one.read()).held.map(({ revision }) => revision);
  expect(revisions.sort()).toEqual(["a", "b"]);
});
