/** The proxy's container as it is deployed, but on a bridge network, with its upstream on this machine. */
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { GenericContainer, type StartedTestContainer, Wait } from "testcontainers";
import type { ProxyConfigInput } from "../../infra/spec/proxy-config.ts";
import { label } from "./reaper.ts";

const port = 8080;
/** Anybody but root, and nobody whom the image knows. */
export const user = "54321:54321";
const thisMachine = "host.docker.internal";

export interface ProxyContainer extends AsyncDisposable {
  readonly container: StartedTestContainer;
  /** `http://HOST:PORT` as seen from this machine. */
  readonly url: string;
  /** Names in the shared directory besides the configuration. */
  shared(): Promise<string[]>;
  log(): Promise<Record<string, unknown>[]>;
  /** What the process inside says about itself: lines of /proc/1/status. */
  processStatus(): Promise<Record<string, string>>;
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
  config: Partial<ProxyConfigInput> = {},
): Promise<ProxyContainer> {
  const folder = await mkdtemp(join(tmpdir(), "lmstack-shared-"));
  await chmod(folder, 0o777);
  const document = {
    listen: { host: "0.0.0.0", port },
    upstream: `http://${thisMachine}:${upstreamPort}`,
    allowAnonymous: true,
    drainSeconds: 30,
    ...config,
  };
  await writeFile(join(folder, "proxy.json"), JSON.stringify(document), { mode: 0o644 });
  const container = await new HardenedContainer(image)
    .withReadOnlyRoot()
    .withLabels({ [label]: String(process.pid) })
    .withUser(user)
    .withDroppedCapabilities("ALL")
    .withSecurityOpt("no-new-privileges")
    .withTmpFs({ "/tmp": "" })
    .withBindMounts([{ source: folder, target: "/run/lmstack", mode: "rw" }])
    .withExtraHosts([{ host: thisMachine, ipAddress: "host-gateway" }])
    .withExposedPorts(port)
    // The image's own check, more often than on a host, where half a minute between two of them will do.
    .withHealthCheck({
      test: ["CMD", "/usr/local/bin/node", "/app/proxy.mjs", "health"],
      interval: 500,
      timeout: 5000,
      retries: 10,
    })
    .withWaitStrategy(Wait.forHealthCheck())
    .withStartupTimeout(60_000)
    .start();
  const logText = async () => (await execa("docker", ["logs", container.getId()])).stdout;
  return {
    container,
    url: `http://${container.getHost()}:${container.getMappedPort(port)}`,
    shared: async () => (await readdir(folder)).filter((name) => name !== "proxy.json"),
    log: async () => (await logText()).split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : [])),
    processStatus: async () => {
      const read = 'process.stdout.write(require("node:fs").readFileSync("/proc/1/status", "utf8"))';
      const { stdout } = await execa("docker", ["exec", container.getId(), "/usr/local/bin/node", "-e", read]);
      return Object.fromEntries(stdout.split("\n").map((line) => line.split(/:\s*/, 2) as [string, string]));
    },
    [Symbol.asyncDispose]: async () => {
      // By name, not through Testcontainers: a test may have stopped it already.
      await execa("docker", ["rm", "--force", container.getId()], { reject: false });
      await rm(folder, { recursive: true, force: true });
    },
  };
}
