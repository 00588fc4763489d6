/** A real HAProxy with the configuration that the product renders, in front of hosts that a test plays. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { stringify } from "yaml";
import { freePort } from "../../bench/peers/peer.ts";
import { type Inventory, readFleet } from "../../infra/fleet/compose.ts";
import { renderHaproxy } from "../../infra/fleet/gateway/haproxy.ts";
import { RuntimeGateway } from "../../infra/fleet/gateway/runtime.ts";
import { until } from "../container/client.ts";
import { hostKey } from "../unit/infra/spec/example.ts";
import type { StandInHost } from "./stand-in-host.ts";

const script = new URL("../../infra/fleet/gateway/machine.sh", import.meta.url);

export interface Declared {
  readonly host: Pick<StandInHost, "name" | "port">;
  readonly models: readonly string[];
}

export interface Peculiar {
  /** Of the configuration, before HAProxy reads it. */
  readonly edit?: (configuration: string) => string;
  /** PEM file with key and certificate. */
  readonly tls?: string;
}

export class GatewayPlace implements AsyncDisposable {
  readonly runtime: RuntimeGateway;
  readonly #home: string;
  readonly #peculiar: Peculiar;
  readonly #port: number;
  readonly #metrics: number;
  #child: ChildProcess | undefined;
  #words = "";

  private constructor(home: string, port: number, metrics: number, peculiar: Peculiar) {
    this.#peculiar = peculiar;
    this.#home = home;
    this.#port = port;
    this.#metrics = metrics;
    this.runtime = new RuntimeGateway((verb, commands) => this.machine(verb, commands));
  }

  /** Started, and every host is seen as it is. */
  static async open(
    hosts: readonly Declared[],
    away: readonly string[] = [],
    peculiar: Peculiar = {},
  ): Promise<GatewayPlace> {
    const home = await mkdtemp(join(tmpdir(), "gateway-"));
    // A HAProxy that is not as expected must not outlive the test.
    await using making = new AsyncDisposableStack();
    const place = making.use(new GatewayPlace(home, await freePort(), await freePort(), peculiar));
    await mkdir(place.#folder, { recursive: true });
    await writeFile(join(place.#folder, "servers.state"), "");
    await place.#write(hosts);
    await place.start(away);
    making.move();
    return place;
  }

  get url(): string {
    return `${this.#peculiar.tls === undefined ? "http" : "https"}://127.0.0.1:${this.#port}`;
  }

  get metricsUrl(): string {
    return `http://127.0.0.1:${this.#metrics}/metrics`;
  }

  async start(away: readonly string[] = []): Promise<void> {
    const env = { ...process.env, LMSTACK_GATEWAY: this.#folder };
    const child = spawn("haproxy", ["-W", "-db", "-f", join(this.#folder, "haproxy.cfg")], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (words: string) => {
        this.#words += words;
      });
    this.#child = child;
    await until(`HAProxy answers: ${this.#words}`, async () =>
      this.runtime.states().then(
        (states) => states.length > 0,
        () => false,
      ),
    );
    await this.settled(away);
  }

  /** What has been checked often enough to count: all is UP, or as it is to be. */
  async settled(away: readonly string[] = []): Promise<void> {
    await until(`the gateway sees every host but ${away.join(", ") || "none"}`, async () =>
      (await this.runtime.states()).every(({ backend, host, status }) =>
        [host, `${backend}/${host}`].some((name) => away.includes(name)) ? !status.startsWith("UP") : status === "UP",
      ),
    );
  }

  /** As `put` of `machine.sh` does it: states are kept, and the old process ends what it has begun. */
  async reload(hosts: readonly Declared[]): Promise<void> {
    await this.machine("keep");
    await this.#write(hosts);
    const loads = this.#words.split("Loading success").length;
    this.#child?.kill("SIGUSR2");
    await until("HAProxy has loaded again", () => this.#words.split("Loading success").length > loads);
  }

  /** Of the process that serves. */
  async worker(): Promise<number> {
    return Number(/^Pid: (\d+)$/m.exec(await this.machine("ask", "show info\n"))?.[1]);
  }

  /** HAProxy hands its table of sessions on only when it waits for one no longer itself: five seconds after a start. */
  async remembers(): Promise<void> {
    await until("HAProxy is six seconds old", async () => {
      const [, uptime] = /^Uptime_sec: (\d+)$/m.exec(await this.machine("ask", "show info\n")) ?? [];
      return Number(uptime) >= 6;
    });
  }

  async crash(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    // The worker ends with its master.
    child.kill("SIGTERM");
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash();
    await rm(this.#home, { recursive: true, force: true });
  }

  get #folder(): string {
    return join(this.#home, ".lmstack-gateway", "test");
  }

  async #write(hosts: readonly Declared[]): Promise<void> {
    const { edit = (whole: string) => whole, tls } = this.#peculiar;
    const ports = { port: this.#port, metrics: { port: this.#metrics } };
    const { gateway, hosts: composed } = inventoryOf(hosts, { ...ports, ...(tls === undefined ? {} : { tls }) });
    if (gateway === null) throw new Error("an inventory without a gateway");
    const file = join(this.#folder, "haproxy.cfg");
    await writeFile(file, edit(renderHaproxy(gateway, composed)));
    await this.machine(`unpack ${file}`);
  }

  /** A function of `machine.sh`. */
  async machine(verb: string, commands = ""): Promise<string> {
    const text = `STACK=test\n${await readFile(script, "utf8")}\n${verb}\n`;
    return (await execa("sh", ["-c", text], { input: commands, env: { HOME: this.#home } })).stdout;
  }
}

export function inventoryOf(hosts: readonly Declared[], gateway: object): Inventory {
  const entries = hosts.map(({ host: { name, port }, models }, index) => [
    name,
    {
      spec: {
        platform: "linux-cpu",
        // The port tells the hosts of one machine from each other.
        connection: { host: "127.0.0.1", port: 2000 + index, user: "gpu", hostKey },
        models: models.map((id) => ({ id, source: { path: `/models/${id}.gguf` }, load: { parallel: 32 } })),
        proxy: { port, keys: ["team-a"] },
      },
    },
  ]);
  const text = stringify({
    hosts: Object.fromEntries(entries),
    gateway: { connection: { local: true }, bind: "127.0.0.1", ...gateway },
  });
  return readFleet(text, "fleet.yaml");
}
