/** What two commits declare, of a real repository. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Repository } from "../../../../../infra/fleet/ci/repository.ts";
import { hostKey } from "../../spec/example.ts";

let folder: string;
let repository: Repository;
const git = async (...words: string[]) => (await execa("git", words, { cwd: folder })).stdout;
const write = (name: string, text: string) => writeFile(join(folder, name), text);

const fleet = (port: number, more = "") => `profiles:
  even: {spec: {platform: linux-cpu, models: [], proxy: {bind: 127.0.0.1, port: ${port}}}}
  odd: {spec: {platform: linux-cpu, models: [], proxy: {bind: 127.0.0.1}}}
hosts:
  box1: {profile: odd, spec: {connection: {host: 10.0.0.1, user: gpu, hostKey: "${hostKey}"}}}
  box2: {profile: even, spec: {connection: {host: 10.0.0.2, user: gpu, hostKey: "${hostKey}"}}}
${more}`;

async function commit(files: Readonly<Record<string, string>>): Promise<string> {
  for (const [name, text] of Object.entries(files)) await write(name, text);
  await git("add", "-A");
  await git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "a change");
  return await git("rev-parse", "HEAD");
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstack-repository-"));
  await git("init", "-q", "-b", "main");
  repository = new Repository(folder, "fleet.yaml");
});
afterEach(() => rm(folder, { recursive: true, force: true }));
const hostsOf = async (before: string | null, after: string) =>
  (await repository.changes(before, after)).map(({ host, what }) => `${host}: ${what.join()}`);

test("a change of a profile concerns its hosts, one of the text around it none", async () => {
  const first = await commit({ "fleet.yaml": fleet(8080), "README.md": "one" });
  const second = await commit({ "fleet.yaml": `# ours\n${fleet(8080)}`, "README.md": "two" });
  const third = await commit({ "fleet.yaml": fleet(9090) });
  expect(await hostsOf(first, second)).toEqual([]);
  expect(await hostsOf(second, third)).toEqual(["box2: its spec"]);
  expect(await hostsOf(first, third)).toEqual(["box2: its spec"]);
});

test("a change of a stack file concerns its host, one of the program all", async () => {
  const first = await commit({ "fleet.yaml": fleet(8080), "Pulumi.box1.yaml": "config: {}\n" });
  const secret = "config: {'lmstack:secret.a': {secure: v1:x}}\n";
  const second = await commit({ "Pulumi.box1.yaml": secret });
  const third = await commit({ "package-lock.json": "{}" });
  expect(await hostsOf(first, second)).toEqual(["box1: secrets or settings in its stack file"]);
  expect(await hostsOf(second, third)).toEqual(["box1: lmstack itself", "box2: lmstack itself"]);
});

test("what could not be read before, or is not there, stands for nothing that hosts could have", async () => {
  const none = await commit({ "README.md": "one" });
  const broken = await commit({ "fleet.yaml": "hosts: [" });
  const good = await commit({ "fleet.yaml": fleet(8080) });
  expect(await hostsOf(none, good)).toEqual(["box1: new in the inventory", "box2: new in the inventory"]);
  expect(await hostsOf(broken, good)).toHaveLength(2);
  expect(await hostsOf(null, good)).toHaveLength(2);
  expect(await repository.commit("0123456789")).toBeNull();
});

test("a restoring commit declares what was good, keeps everything else, and touches neither checkout nor branch", async () => {
  const good = await commit({ "fleet.yaml": fleet(8080), "README.md": "one", "Pulumi.box8.yaml": "config: {}\n" });
  await git("mv", "Pulumi.box8.yaml", "Pulumi.box9.yaml");
  await commit({ "fleet.yaml": fleet(9090) });
  const bad = await commit({ "README.md": "two" });
  const restored = await repository.restoring(good, bad, "Back to what was good");
  expect(await hostsOf(good, restored)).toEqual([]);
  expect(await repository.declaresSame(good, restored)).toBe(true);
  expect(await repository.declaresSame(bad, restored)).toBe(false);
  expect(await repository.restoring(good, bad, "Back to what was good")).toBe(restored);
  expect(await repository.declaresSame("0123456789", bad)).toBe(false);
  expect(await git("show", `${restored}:README.md`)).toBe("two");
  expect(await git("ls-tree", "--name-only", restored)).toBe("Pulumi.box8.yaml\nREADME.md\nfleet.yaml");
  expect(await git("rev-parse", "HEAD", `${restored}^`)).toBe(`${bad}\n${bad}`);
  expect(await git("status", "--porcelain")).toBe("");
});

test("a shallow checkout is told with what fetches the rest", async () => {
  const first = await commit({ "fleet.yaml": fleet(8080) });
  await expect(repository.changes("0123456789", first)).rejects.toThrow(/Next: .*fetch-depth: 0/);
});
