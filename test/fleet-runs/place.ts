/** Three hosts with systemd that serve one model, described by one `fleet.yaml`, and the files that a rollout may bring. */
import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { stringify } from "yaml";
import { profileName } from "../../infra/codex/artifacts.ts";
import { springTraps } from "../chaos/place.ts";
import { lmstudioVersion, teamKey } from "../e2e/box.ts";
import { startHost, type TestHost } from "../hosts/host.ts";
import { ensureHostImage } from "../hosts/image.ts";
import { becomeMac } from "../hosts/mac.ts";
import { buildInstaller } from "../lmstudio-sim/build.ts";
import { writeScriptModel } from "../lmstudio-sim/gguf/script-model.ts";
import { projectRoot } from "../pulumi/stack.ts";
import { FleetCommand } from "./fleet-command.ts";
import { type ModelName, modelId, modelNames, scripts } from "./models.ts";
import { Shelf, type Shelved } from "./shelf.ts";

/** Long enough for tens of answers of the canary. */
const bakeSeconds = 6;
/** Of each model, in ms. */
const loadMs = 500;

export interface Declaration {
  readonly model: ModelName;
  /** Default: the file's own. */
  readonly sha256?: string;
}

export interface Place extends AsyncDisposable {
  readonly hosts: readonly TestHost[];
  /** Its stack. */
  readonly gateway: string;
  readonly fleet: FleetCommand;
  readonly files: Readonly<Record<ModelName, Shelved>>;
  readonly key: string;
  /** Holds the state and the inventory. */
  readonly folder: string;
  /** Ends with `/v1`. */
  readonly baseUrl: string;
  /** Words for `lmstack fleet VERB`. */
  readonly inventory: readonly string[];
  /** `fleet.yaml` as data, a profile and a declaration for each host. */
  fleetOf(declarations: readonly Declaration[]): object;
  /** Writes `fleet.yaml` and the stack files, the same for every host. */
  declare(declaration: Declaration): Promise<void>;
  /** How often that model's file went out from where it is published, in whole files. */
  copies(model: ModelName): Promise<number>;
  /** `lmstack codex install` of the gateway's stack. @returns the launcher */
  installCodex(codexHome: string): Promise<string>;
  /** Hosts that the endpoint sends nothing to. */
  outOfGateway(): Promise<readonly string[]>;
}

export interface PlaceOptions {
  readonly say: (line: string) => void;
  /** Three, or only the first two. */
  readonly hosts?: 2 | 3;
  /** The third host passes for a Mac, whose Node is fetched once. */
  readonly mac: boolean;
}

/**
 * Deployed, and serving model A.
 * @param name of its hosts, stacks and folder: places of two names can be open on one machine at the same time
 * @throws with the engine's output when an `up` fails
 */
export async function openPlace(name: string, { say, mac, hosts: count = 3 }: PlaceOptions): Promise<Place> {
  await using making = new AsyncDisposableStack();
  const names = ["one", "two", "three"].slice(0, count).map((which) => `${name}-${which}`);
  const gateway = `${name}-gateway`;
  const folder = join(projectRoot, ".lmstack", "fleet-runs", name);
  const forget = async () => {
    await rm(folder, { recursive: true, force: true });
    // The journal's own folder remembers the key of a state that is gone.
    for (const host of [...names, gateway, "fleet-rollouts"]) {
      await rm(join(projectRoot, `Pulumi.${host}.yaml`), { force: true });
      await rm(join(projectRoot, ".lmstack", host), { recursive: true, force: true });
    }
  };
  // What an earlier run left that was killed.
  await forget();
  making.defer(forget);
  await mkdir(join(folder, "state"), { recursive: true });

  for (const stage of ["plain", "gateway"] as const) await ensureHostImage("bookworm", stage, say);
  const begun = [
    ...names.map((host) => startHost({ name: host, docker: false, onProgress: say })),
    startHost({ name: gateway, gateway: true, gpu: false, onProgress: say }),
  ];
  const started = await Promise.all(begun.map(async (host) => making.use(await host)));
  const machine = started.pop() as TestHost;
  const hosts = started;
  const first = hosts[0] as TestHost;
  if (mac) await becomeMac(hosts[2] as TestHost);
  const shelf = making.use(await Shelf.open(first.address.replace(/\d+$/, "1")));
  const installer = await buildInstaller({ version: lmstudioVersion, engine: "script", onProgress: say });
  const tarball = await shelf.put("llmster.tar.gz", installer.tarball);
  const files: [ModelName, Shelved][] = [];
  for (const model of modelNames) {
    const file = join(folder, `${model}.gguf`);
    await writeScriptModel(file, { name: model, ...scripts[model] });
    files.push([model, await shelf.put(`${model}.gguf`, file)]);
  }

  const inventoryFile = join(folder, "fleet.yaml");
  const inventory = ["--file", inventoryFile];
  const fleet = new FleetCommand({
    PULUMI_BACKEND_URL: pathToFileURL(join(folder, "state")).href,
    PULUMI_CONFIG_PASSPHRASE: "lmstack-fleet-runs",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    NO_COLOR: "1",
    LMSTACK_SSH_IDENTITY: first.identityFile,
  });
  const shelved = Object.fromEntries(files) as Place["files"];
  const lmstudio = { version: lmstudioVersion, url: tarball.url, sha512: installer.sha512 };
  const modelsOf = ({ model, sha256 = shelved[model].sha256 }: Declaration) => [
    {
      id: modelId,
      source: { url: shelved[model].url },
      sha256,
      load: { contextLength: 65_536, parallel: 4 },
    },
  ];
  const platforms = {
    linux: { spec: { platform: "linux-cuda", lmstudio, proxy: { keys: ["team-a"], runtime: "native" } } },
    mac: { spec: { platform: "macos-metal", lmstudio, proxy: { keys: ["team-a"] } } },
  };
  const platformOf = (index: number) => (mac && index === 2 ? "mac" : "linux");
  const fleetOf = (declarations: readonly Declaration[]) => ({
    profiles: {
      ...platforms,
      ...Object.fromEntries(
        declarations.map((declaration, index) => [
          `of-${names[index]}`,
          { extends: [platformOf(index)], spec: { models: modelsOf(declaration) } },
        ]),
      ),
    },
    groups: { all: { run: name } },
    hosts: Object.fromEntries(
      hosts.map((host, index) => [
        host.name,
        {
          profile: `of-${host.name}`,
          labels: { run: name, ...(index === 0 ? { role: "canary" } : {}) },
          spec: { connection: connectionOf(host) },
        },
      ]),
    ),
    rollout: { canary: { role: "canary" }, wave: 1, bakeSeconds },
    gateway: { stack: gateway, connection: { ...connectionOf(machine), become: "none" } },
  });
  const declare = async (declaration: Declaration) => {
    await writeFile(inventoryFile, stringify(fleetOf(names.map(() => declaration))));
    await fleet.must(["fleet", "sync", "--yes", ...inventory]);
  };

  await declare({ model: "A" });
  for (const host of [...names, gateway])
    await execa("pulumi", ["config", "set", "--secret", "lmstack:secret.team-a", "--stack", host], {
      cwd: projectRoot,
      env: fleet.env,
      input: teamKey,
    });
  const began = performance.now();
  const up = (stack: string) => fleet.must(["up", "--stack", stack, "--json", "--", "--yes", "--skip-preview"]);
  await Promise.all(names.map(up));
  say(`the first up of ${names.length} hosts took ${((performance.now() - began) / 1000).toFixed(1)} s`);
  await up(gateway);
  for (const host of hosts) await springTraps(host, { loadMs, thinksAnyway: true });

  const done = making.move();
  return {
    ...{ hosts, gateway, fleet, files: shelved, key: teamKey, folder, inventory, fleetOf, declare },
    baseUrl: `http://${machine.address}:8080/v1`,
    copies: async (model) => {
      const { size } = await stat(join(folder, `${model}.gguf`));
      return (shelf.sent.get(shelved[model].url) ?? 0) / size;
    },
    installCodex: async (codexHome) => {
      await fleet.must(["codex", "install", "--stack", gateway, "--codex-home", codexHome, "--yes"]);
      return join(codexHome, `codex-${profileName(gateway)}`);
    },
    outOfGateway: async () => {
      const { stdout } = await fleet.run(["fleet", "gateway", "status", "--json", ...inventory]);
      const { servers } = JSON.parse(stdout) as { servers: readonly { host: string; status: string }[] };
      return servers.flatMap(({ host, status }) => (status === "UP" ? [] : [`${host} (${status})`]));
    },
    [Symbol.asyncDispose]: () => done.disposeAsync(),
  };
}

const connectionOf = ({ address, port, user, hostKey }: TestHost) => ({
  ...{ host: address, port, user, hostKey },
  become: "sudo",
});
