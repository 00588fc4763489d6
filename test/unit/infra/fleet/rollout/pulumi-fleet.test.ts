/** A host's stack through the real engine, with a program that only looks at its spec. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { askPulumi, projectRoot, useEngine } from "../../../../../infra/cli/pulumi.ts";
import type { FleetHost } from "../../../../../infra/fleet/compose.ts";
import { FleetLooks } from "../../../../../infra/fleet/look.ts";
import { HostFault } from "../../../../../infra/fleet/rollout/effects.ts";
import { PulumiFleet } from "../../../../../infra/fleet/rollout/pulumi-fleet.ts";
import { stackText } from "../../../../../infra/fleet/stack-text.ts";
import { parseHostSpec } from "../../../../../infra/spec/parse.ts";
import { stableJson } from "../../../../../infra/spec/stable-json.ts";

const name = "rollout-unit";
const program = `import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
export default async () => {
  const spec = new pulumi.Config("lmstack").requireObject("host");
  if (spec.models[0].id === "bad") throw new pulumi.RunError('it said {"ok":true}\\n{"ok":false,"error":{"message":"bad does not load","hint":"take another"}}');
  const create = spec.models[0].id === "ends" ? "exit 1" : "true";
  const proof = new command.local.Command("proof", { create }).stdout;
  return { model: spec.models[0].id, spec: proof.apply(() => "digest of " + spec.models[0].id) };
};
`;
const specWith = (id: string) => ({
  platform: "linux-cpu",
  connection: { local: true },
  models: [{ id, source: { path: `/models/${id}.gguf` } }],
  proxy: { bind: "127.0.0.1" },
});
const text = (id: string) => stableJson(specWith(id));
let folder: string;
let file: string;
let fleet: PulumiFleet;

beforeAll(async () => {
  await useEngine();
  // Below the project, so that the program finds its packages.
  await mkdir(join(projectRoot, ".lmstack"), { recursive: true });
  folder = await mkdtemp(join(projectRoot, ".lmstack", "rollout-unit-"));
  await mkdir(join(folder, "state"));
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${folder}/state`);
  vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "of-the-test");
  const project = { name: "lmstack", runtime: { name: "nodejs", options: { typescript: false } }, main: "main.mjs" };
  await writeFile(join(folder, "Pulumi.yaml"), JSON.stringify(project));
  await writeFile(join(folder, "main.mjs"), program);
  for (const stack of [name, "selected"]) await askPulumi(["stack", "init"], stack, { folder });
  file = join(folder, `Pulumi.${name}.yaml`);
  const host = { name, declared: specWith("coder") };
  await writeFile(file, stackText(host, await readFile(file, "utf8"), "it", "fleet.yaml").after);
  const hosts: FleetHost[] = [{ ...host, labels: {}, groups: [], spec: parseHostSpec(host.declared) }];
  fleet = new PulumiFleet({
    ...{ folder, inventory: "fleet.yaml", hosts, looks: new FleetLooks(hosts), gateway: null },
    unlocking: { here: { machine: "desk", runs: () => true }, former: async () => null },
    journal: { read: () => Promise.reject(new Error("unused")), change: () => Promise.reject(new Error("unused")) },
    message: () => "rollout 7",
  });
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
  await rm(join(projectRoot, ".lmstack", name), { recursive: true, force: true });
});

const modelThere = async () => JSON.parse(await askPulumi(["stack", "output", "--json"], name, { folder })).model;

test("a host gets the spec of the rollout, and the user's file and selected stack stay as they are", async () => {
  const before = await readFile(file, "utf8");
  expect(await fleet.preview(name, text("coder"), {})).toMatchObject({ changes: { create: 2 }, lastGood: null });
  await fleet.up(name, text("coder"), () => {});
  await fleet.up(name, text("other"), () => {});
  expect(await modelThere()).toBe("other");
  expect(await readFile(file, "utf8")).toBe(before);
  expect((await askPulumi(["stack", "--show-name"], undefined, { folder })).trim()).toBe("selected");
});

test("what fails is told in the host's words, and what was last good is what went well", async () => {
  const failing = fleet.up(name, text("bad"), () => {});
  await expect(failing).rejects.toThrow(new HostFault("bad does not load. Next: take another"));
  expect((await fleet.preview(name, text("coder"), {})).lastGood).toBe(text("other"));
  // In the middle of an `up`, when the program has come to its end.
  await expect(fleet.up(name, text("ends"), () => {})).rejects.toThrow(HostFault);
  // Of the digest in the outputs, and not of a process that is asked for it.
  const known = { "digest of other": "as the journal has it", "digest of bad": "never", "digest of ends": "never" };
  expect((await fleet.preview(name, text("coder"), known)).lastGood).toBe("as the journal has it");
});
