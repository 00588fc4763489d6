/** The proxy's container as it is deployed, keys included, but on a bridge network, with its upstream on this machine. */
import { execa } from "execa";
import { GenericContainer, type StartedTestContainer, Wait } from "testcontainers";
import type { ProxyConfigInput } from "../../infra/spec/proxy-config.ts";
import { allKeys } from "./keys.ts";
import { label } from "./reaper.ts";
import { SharedFolder } from "./shared-folder.ts";

const port = 8080;
/** Anybody but root, and nobody whom the image knows. */
export const user = "54321:54321";
const thisMachine = "host.docker.internal";
const node = "/usr/local/bin/node";

export interface AdminAnswer {
  readonly status: number;
  readonly json: unknown;
}

export interface ProxyContainer extends AsyncDisposable {
  readonly id: string;
  /** `http://HOST:PORT` as seen from this machine. */
  readonly url: string;
  readonly folder: SharedFolder;
  /** The configuration it was started with, for another version of it. */
  readonly config: ProxyConfigInput;
  /** A call over the admin socket, from inside the container. */
  admin(method: string, path: string): Promise<AdminAnswer>;
  /** Writes the configuration with these changes and has it read at once. */
  configure(changes: Partial<ProxyConfigInput>): Promise<void>;
  logText(): Promise<string>;
  log(): Promise<Record<string, unknown>[]>;
  /** Runs JavaScript inside, and gives back what it prints. */
  evaluate(script: string, ...args: readonly string[]): Promise<string>;
}

/** Where a successor is started: the same folder, and the same address. */
export interface Household extends AsyncDisposable {
  readonly folder: SharedFolder;
  readonly network: StartedTestContainer;
}

class HardenedContainer extends GenericContainer {
  withReadOnlyRoot(): this {
    this.hostConfig.ReadonlyRootfs = true;
    return this;
  }
}

/** `upstreamPort` is a port of this machine that listens on all addresses. Resolves when Docker calls the container healthy. */
export async function startProxyContainer(
  image: string,
  upstreamPort: number,
  changes: Partial<ProxyConfigInput> = {},
  household?: Household,
): Promise<ProxyContainer> {
  const folder = household?.folder ?? (await SharedFolder.make());
  const config = {
    listen: { host: "0.0.0.0", port },
    upstream: `http://${thisMachine}:${upstreamPort}`,
    keysFile: "keys.json",
    drainSeconds: 30,
    ...changes,
  };
  await folder.writeKeys(allKeys);
  await folder.write("proxy.json", config);
  const before = await folder.others();
  const prepared = hardened(image, folder)
    // The image's own check, more often than on a host, where half a minute between two of them will do.
    .withHealthCheck({ test: ["CMD", node, "/app/proxy.mjs", "health"], interval: 500, timeout: 5000, retries: 10 })
    .withWaitStrategy(Wait.forHealthCheck());
  const container = await (household === undefined
    ? published(prepared)
    : prepared.withNetworkMode(`container:${household.network.getId()}`)
  ).start();
  const [socket = ""] = (await folder.others()).filter((name) => !before.includes(name));
  const address = household?.network ?? container;
  const id = container.getId();
  const logText = async () => (await execa("docker", ["logs", id])).stdout;
  const evaluate = async (script: string, ...args: readonly string[]) =>
    (await execa("docker", ["exec", id, node, "-e", script, ...args])).stdout;
  const admin = async (method: string, path: string) =>
    JSON.parse(await evaluate(adminScript, `/run/lmstack/${socket}`, method, path)) as AdminAnswer;
  return {
    id,
    url: `http://${address.getHost()}:${address.getMappedPort(port)}`,
    folder,
    config,
    admin,
    configure: async (more) => {
      await folder.write("proxy.json", { ...config, ...more });
      const { json } = await admin("POST", "/-/reload");
      const { problem } = json as { readonly problem: string | null };
      if (problem !== null) throw new Error(`the configuration was not taken: ${problem}`);
    },
    logText,
    log: async () => (await logText()).split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : [])),
    evaluate,
    [Symbol.asyncDispose]: async () => {
      await remove(id);
      if (household === undefined) await folder[Symbol.asyncDispose]();
    },
  };
}

/** A network that outlives the proxies in it, as the host's own does. */
export async function startHousehold(image: string): Promise<Household> {
  const folder = await SharedFolder.make();
  const idle = hardened(image, folder).withEntrypoint([node, "-e", idleScript]).withCommand([]);
  const network = await published(idle).withWaitStrategy(Wait.forLogMessage("idle")).start();
  return {
    folder,
    network,
    [Symbol.asyncDispose]: async () => {
      await remove(network.getId());
      await folder[Symbol.asyncDispose]();
    },
  };
}

function hardened(image: string, folder: SharedFolder): HardenedContainer {
  return new HardenedContainer(image)
    .withReadOnlyRoot()
    .withLabels({ [label]: String(process.pid) })
    .withUser(user)
    .withDroppedCapabilities("ALL")
    .withSecurityOpt("no-new-privileges")
    .withTmpFs({ "/tmp": "" })
    .withBindMounts([{ source: folder.path, target: "/run/lmstack", mode: "rw" }])
    .withStartupTimeout(60_000);
}

function published(container: GenericContainer): GenericContainer {
  return container.withExtraHosts([{ host: thisMachine, ipAddress: "host-gateway" }]).withExposedPorts(port);
}

/** By name, not through Testcontainers: a test may have stopped it already. */
async function remove(id: string): Promise<void> {
  await execa("docker", ["rm", "--force", "--volumes", id], { reject: false });
}

const idleScript = 'console.log("idle"); setInterval(() => {}, 60_000);';

const adminScript = `
const [socketPath, method, path] = process.argv.slice(1);
const request = require("node:http").request({ socketPath, method, path }, async (response) => {
  let text = "";
  for await (const chunk of response) text += chunk;
  console.log(JSON.stringify({ status: response.statusCode, json: JSON.parse(text) }));
});
request.end();
`;
