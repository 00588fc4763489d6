/** A GPU box as a user has it before the first `up`: a host that answers to SSH, LM Studio's tarball within reach, two GGUF files on its model disk. */
import { join } from "node:path";
import { execa } from "execa";
import { type HostOptions, startHost, type TestHost } from "../hosts/host.ts";
import { buildInstaller } from "../lmstudio-sim/build.ts";
import { writeScriptModel } from "../lmstudio-sim/gguf/script-model.ts";
import { fetchSmolLm } from "../lmstudio-sim/smollm.ts";
import { projectRoot, Stack } from "../pulumi/stack.ts";

/** The model that thinks unless it is told not to in a way that LM Studio honours. */
export const thinker = "Thinker-27B-Q4_K_XL";
/** A real GGUF, answered with real tokens by llama.cpp on the CPU. */
export const smollm = "SmolLM2-135M-Instruct-Q4_1";

export const lmstudioVersion = "0.0.25-1";

export interface ModelFile {
  readonly id: string;
  readonly path: string;
  readonly sha256: string;
}

export interface Installer {
  readonly version: string;
  readonly url: string;
  readonly sha512: string;
}

export interface Box {
  readonly host: TestHost;
  readonly installer: Installer;
  readonly models: readonly ModelFile[];
}

export interface BoxOptions extends HostOptions {
  /** Put the real GGUF on the box too; 98 MB. Default true. */
  readonly realModel?: boolean;
}

/** Starts the host and puts the files where a person would have put them. */
export async function startBox(options: BoxOptions): Promise<Box> {
  const say = options.onProgress ?? (() => {});
  const host = await startHost(options);
  const { tarball, sha512, version } = await buildInstaller({ version: lmstudioVersion, onProgress: say });
  const remoteTarball = `/models/dist/${version}-linux-x64.full.tar.gz`;
  await host.exec("install -d -o gpu /models/dist", { root: true });
  await putFile(host, tarball, remoteTarball);
  const models = [await putModel(host, thinker, await scriptModelFile())];
  if (options.realModel ?? true) models.push(await putModel(host, smollm, await fetchSmolLm(say)));
  return { host, installer: { version, url: `file://${remoteTarball}`, sha512 }, models };
}

export async function putModel(host: TestHost, id: string, local: string): Promise<ModelFile> {
  const path = `/models/${id}.gguf`;
  return { id, path, sha256: await putFile(host, local, path) };
}

/** Copies a file unless it is there already: a new copy would be a changed file to whoever verified the old one. Returns its SHA-256. */
async function putFile(host: TestHost, local: string, remote: string): Promise<string> {
  const { stdout } = await execa("sha256sum", [local]);
  const sha256 = stdout.slice(0, 64);
  const { exitCode } = await host.exec(`echo '${sha256}  ${remote}' | sha256sum --check --status`, { reject: false });
  if (exitCode !== 0) await host.copyIn(local, remote);
  return sha256;
}

export async function scriptModelFile(): Promise<string> {
  const path = join(projectRoot, ".lmstack", "test", `${thinker}.gguf`);
  await writeScriptModel(path, { name: thinker });
  return path;
}

/** What a user would write for this box. `change` edits it, for the tests that want another. */
export function specFor(box: Box, change: (spec: Spec) => void = () => {}): Spec {
  const { host, installer, models } = box;
  const spec: Spec = {
    platform: "linux-cuda",
    connection: { host: host.address, port: host.port, user: host.user, hostKey: host.hostKey, become: "sudo" },
    lmstudio: { version: installer.version, url: installer.url, sha512: installer.sha512 },
    models: models.map(({ id, path, sha256 }) => ({
      id,
      source: { path },
      sha256,
      load: { contextLength: id === smollm ? 2048 : 32768, parallel: 2 },
    })),
    proxy: { bind: "0.0.0.0", port: 8080, keys: ["team-a"] },
    codex: { provider: "lms" },
  };
  change(spec);
  return spec;
}

/** Loose on purpose: the tests of wrong specs write what no type would allow. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Spec = any;

/** With signs that other encodings change. */
export const teamKey = "sk-team-a+7f1c/93d4=e5b8";
/** What the same team has after its key was rotated. */
export const nextTeamKey = "sk-team-a+2b9e/c07f=14d6";

/** The operator's key for this box is the operator's own business, so it goes by the environment, never into the spec. */
export async function openStack(name: string, box: Box, spec: Spec = specFor(box)): Promise<Stack> {
  return await Stack.open({
    name,
    spec,
    secrets: { "team-a": teamKey },
    env: { LMSTACK_SSH_IDENTITY: box.host.identityFile },
  });
}
