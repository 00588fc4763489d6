/** Where the demo deploys to: a test host over SSH, or, without Docker, a folder of this machine. Both give the same things to the rest of the demo. */
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { execa } from "execa";
import { type Box, type Spec, scriptModelFile, smollm, specFor, startBox, thinker } from "../e2e/box.ts";
import { removeHosts } from "../hosts/host.ts";
import { buildInstaller } from "../lmstudio-sim/build.ts";
import { fetchSmolLm } from "../lmstudio-sim/smollm.ts";
import { projectRoot } from "../pulumi/stack.ts";

export interface Place {
  readonly kind: "test host" | "this machine";
  readonly spec: Spec;
  /** Environment of `pulumi` for this place. */
  readonly env: Readonly<Record<string, string>>;
  readonly baseUrl: string;
  /** What this place cannot show. */
  readonly leavesOut: readonly string[];
  /** Runs a command where LM Studio runs. */
  run(command: string): Promise<string>;
}

type Say = (line: string) => void;

const hostName = "demo";
const localHome = join(projectRoot, ".lmstack", "demo-home");

export async function findPlace(say: Say): Promise<Place> {
  return process.env.LMSTACK_DOCKER === "none" ? await folder(say) : await testHost(say);
}

/** Removes the host or the folder; what runs below the folder has to be stopped before. */
export async function removePlace(): Promise<void> {
  if (process.env.LMSTACK_DOCKER !== "none") await removeHosts(hostName);
  await rm(localHome, { recursive: true, force: true });
}

async function testHost(say: Say): Promise<Place> {
  const box: Box = await startBox({ name: hostName, reuse: true, onProgress: say });
  return {
    kind: "test host",
    spec: specFor(box),
    env: { LMSTACK_SSH_IDENTITY: box.host.identityFile },
    baseUrl: `http://${box.host.address}:8080/v1`,
    leavesOut: [],
    run: async (command) => (await box.host.ssh(command)).stdout,
  };
}

/** No root, no Docker: everything below one folder that is the home of all that runs. */
async function folder(say: Say): Promise<Place> {
  const models = join(localHome, "models");
  await mkdir(models, { recursive: true });
  const { tarball, sha512, version } = await buildInstaller({ version: "0.0.25-1", onProgress: say });
  const files = { [thinker]: await scriptModelFile(), [smollm]: await fetchSmolLm(say) };
  const digests: Record<string, string> = {};
  for (const [id, file] of Object.entries(files)) {
    digests[id] = await digestOf(file);
    const copy = join(models, `${id}.gguf`);
    // A new copy of a file that is there would be a changed file to whoever verified it.
    if ((await digestOf(copy).catch(() => "")) !== digests[id]) await copyFile(file, copy);
  }
  const { port, backendPort } = await ports();
  const model = (id: string, contextLength: number) => ({
    id,
    source: { path: join(models, `${id}.gguf`) },
    sha256: digests[id],
    load: { gpu: "off", contextLength, parallel: 2 },
  });
  return {
    kind: "this machine",
    spec: {
      platform: "linux-cpu",
      connection: { local: true },
      lmstudio: { version, url: `file://${tarball}`, sha512, backendPort },
      models: [model(thinker, 32768), model(smollm, 4096)],
      proxy: { bind: "127.0.0.1", port, runtime: "native", keys: ["team-a"] },
      codex: { provider: "lms" },
    },
    env: { HOME: localHome },
    baseUrl: `http://127.0.0.1:${port}/v1`,
    leavesOut: [
      "SSH, systemd and the proxy's container: there is no Docker here, so it runs below one folder of this machine, as your own user",
      "a reboot: without systemd the service ends with this machine",
    ],
    run: async (command) => (await execa("sh", ["-c", command], { env: { HOME: localHome } })).stdout,
  };
}

const digestOf = async (file: string) =>
  createHash("sha256")
    .update(await readFile(file))
    .digest("hex");

/** Free ports of loopback, the same in every run as long as the folder is there. */
async function ports(): Promise<{ port: number; backendPort: number }> {
  const file = join(localHome, "ports.json");
  const known = await readFile(file, "utf8").catch(() => undefined);
  if (known !== undefined) return JSON.parse(known) as { port: number; backendPort: number };
  const chosen = { port: await freePort(), backendPort: await freePort() };
  await writeFile(file, JSON.stringify(chosen));
  return chosen;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("No free port was found on loopback");
  return address.port;
}
