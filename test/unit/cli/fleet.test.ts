/** `lmstack fleet check` and `sync` with the real engine, on stacks in a folder of their own. */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { check, sync } from "../../../infra/cli/fleet.ts";
import { init } from "../../../infra/cli/fleet-init.ts";
import { askPulumi, projectRoot } from "../../../infra/cli/pulumi.ts";
import { hostKey } from "../infra/spec/example.ts";

const inventory = (extra = "") => `profiles:
  base:
    spec:
      platform: linux-cpu
      models: []
      proxy: {bind: 127.0.0.1}
hosts:
  box1: {profile: base, spec: {connection: {host: 10.0.0.1, user: gpu, hostKey: "${hostKey}"}}}
  box2: {profile: base, spec: {connection: {host: 10.0.0.2, user: gpu, hostKey: "${hostKey}"}}}
${extra}`;
const options = { file: "fleet.yaml", json: true };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstack-fleet-"));
  await mkdir(join(folder, "state"));
  await copyFile(join(projectRoot, "Pulumi.yaml"), join(folder, "Pulumi.yaml"));
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${folder}/state`);
  vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "of-the-test");
});
beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  process.exitCode = 0;
});
afterAll(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const write = (text: string) => writeFile(join(folder, "fleet.yaml"), text);
const textOf = (host: string) => readFile(join(folder, `Pulumi.${host}.yaml`), "utf8");
async function json(work: Promise<void>) {
  const said: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((line: string) => void said.push(line));
  await work.finally(() => log.mockRestore());
  expect(said).toHaveLength(1);
  return JSON.parse(said[0] as string);
}

it("sync makes a stack and a file for each host, and the second one changes nothing", async () => {
  await write(inventory());
  expect(await json(check(options, folder))).toMatchObject({ ok: false, hosts: [{ state: "new" }, { state: "new" }] });
  expect(process.exitCode).toBe(3);
  expect(await json(sync(options, folder))).toMatchObject({ written: ["Pulumi.box1.yaml", "Pulumi.box2.yaml"] });
  const first = await textOf("box1");
  // What the engine itself put there has survived, and the engine reads what we put there.
  expect(first).toContain("encryptionsalt");
  const configured = JSON.parse(await askPulumi(["config", "--json"], "box1", { folder }));
  expect(configured["lmstack:host"].objectValue.connection.host).toBe("10.0.0.1");
  expect(await json(sync(options, folder))).toMatchObject({ written: [] });
  expect(await textOf("box1")).toBe(first);
  process.exitCode = 0;
  expect(await json(check(options, folder))).toMatchObject({ ok: true, faults: [] });
  expect(process.exitCode).toBe(0);
});

it("a secret that Pulumi writes is no edit by hand, and outlives the next sync", async () => {
  await askPulumi(["config", "set", "--secret", "lmstack:secret.team-a"], "box1", { folder, input: "team-a-key-1" });
  expect(await json(check(options, folder))).toMatchObject({ ok: true });
  await write(inventory().replace("models: []", "models: []\n      lmstudio: {backendPort: 9091}"));
  await sync({ ...options, json: false, yes: true }, folder);
  const { config } = parse(await textOf("box1"));
  expect(config["lmstack:host"].lmstudio.backendPort).toBe(9091);
  expect(config["lmstack:secret.team-a"].secure).toMatch(/^v1:/);
});

it("an edit by hand stops the whole sync until somebody names the host", async () => {
  const edited = (await textOf("box2")).replace("user: gpu", "user: root");
  await writeFile(join(folder, "Pulumi.box2.yaml"), edited);
  await write(inventory());
  await expect(sync({ ...options, yes: true }, folder)).rejects.toThrow(
    /nothing was written:[\s\S]*Pulumi\.box2\.yaml lmstack:host\.connection\.user: found "root"[\s\S]*--overwrite box2/,
  );
  expect(await textOf("box2")).toBe(edited);
  expect(parse(await textOf("box1")).config["lmstack:host"]).toHaveProperty("lmstudio");
  const state = await json(check(options, folder));
  expect(state.hosts).toMatchObject([{ state: "out of date" }, { state: "edited by hand" }]);
  await expect(sync({ ...options, overwrite: ["box7"], yes: true }, folder)).rejects.toThrow(/found box7/);
  await sync({ ...options, json: false, overwrite: ["box2"], yes: true }, folder);
  expect(parse(await textOf("box2")).config["lmstack:host"].connection.user).toBe("gpu");
});

it("files that are there are not changed unasked where nobody is at the terminal", async () => {
  await write(inventory().replace("models: []", "models: []\n      lmstudio: {backendPort: 9092}"));
  const before = await textOf("box1");
  await expect(sync(options, folder)).rejects.toThrow(/no terminal to ask at.*--yes/);
  expect(await textOf("box1")).toBe(before);
});

it("the file of a host that is no longer in the inventory is told, and left", async () => {
  await write(inventory().replace(/ {2}box2: .*\n/, ""));
  const { ok, faults } = await json(check(options, folder));
  expect({ ok, faults }).toMatchObject({
    ok: false,
    faults: [{ where: "Pulumi.box2.yaml", next: expect.stringMatching(/pulumi destroy --stack box2/) }],
  });
  expect(await readdir(folder)).toContain("Pulumi.box2.yaml");
});

it("init makes an inventory of the stacks that are there, and its sync changes nothing that a host is", async () => {
  const before = await Promise.all(["box1", "box2"].map(textOf));
  const unmarked = before.map((text) => text.replace(/\n *lmstack:fleet: .*/, ""));
  await Promise.all(
    ["box1", "box2"].map((host, i) => writeFile(join(folder, `Pulumi.${host}.yaml`), unmarked[i] ?? "")),
  );
  expect(await json(init([], { ...options, file: "made.yaml" }, folder))).toMatchObject({ hosts: ["box1", "box2"] });
  await expect(init([], { ...options, file: "made.yaml" }, folder)).rejects.toThrow(/made\.yaml: it is there, and was/);
  await sync({ file: "made.yaml", yes: true }, folder);
  const specs = (texts: readonly string[]) => texts.map((text) => parse(text).config["lmstack:host"]);
  const after = await Promise.all(["box1", "box2"].map(textOf));
  expect(specs(after)).toEqual(specs(before));
  expect(parse(after[0] ?? "").config["lmstack:secret.team-a"].secure).toMatch(/^v1:/);
});
