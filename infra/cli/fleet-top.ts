/** `lmstack fleet top`: hosts, models, queues and tokens a second as they go on. */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { styleText } from "node:util";
import type { FleetHost } from "../fleet/compose.ts";
import { type HostView, viewsOf } from "../fleet/host-view.ts";
import { onScreen, topLines } from "../fleet/top-lines.ts";
import type { Keys } from "../proxy/keys.ts";
import { exitCodes } from "./fault.ts";
import type { FleetOptions } from "./fleet.ts";
import { inventoryAt } from "./fleet-file.ts";
import { keyReader } from "./fleet-keys.ts";
import { progress } from "./progress.ts";
import { projectRoot } from "./pulumi.ts";

export interface TopOptions extends FleetOptions {
  readonly once?: boolean;
}

/** Between two questions to one host. */
const everyMs = 2_000;

export async function top({ file, json, once }: TopOptions, folder: string = projectRoot): Promise<void> {
  const { hosts } = await inventoryAt(file, folder);
  if (json || once || !process.stdout.isTTY) await lookOnce(hosts, folder, json === true);
  else await live(hosts, folder);
}

async function lookOnce(hosts: readonly FleetHost[], folder: string, json: boolean): Promise<void> {
  const keysOf = keyReader(folder);
  const asking = Promise.all(hosts.map((host) => firstRates(host, keysOf)));
  const views = await progress(`asking ${hosts.length} ${hosts.length === 1 ? "host" : "hosts"}`, asking);
  if (json) console.log(JSON.stringify({ hosts: views }));
  else for (const line of topLines(views, modelsOf(hosts))) console.log(line);
  if (!views.every(({ reading }) => reading?.ready)) process.exitCode = exitCodes.unhealthy;
}

async function firstRates(host: FleetHost, keysOf: (host: FleetHost) => Promise<Keys>): Promise<HostView> {
  for await (const view of viewsOf(
    host,
    () => keysOf(host),
    () => delay(everyMs),
  ))
    if (view.rates || view.silence) return view;
  throw new Error("views end by themselves");
}

const modelsOf = (hosts: readonly FleetHost[]): string[] => [
  ...new Set(hosts.flatMap(({ spec }) => spec.models.map(({ id }) => id))),
];

const enter = "\x1b[?1049h\x1b[?25l";
const leave = "\x1b[?25h\x1b[?1049l";
const ctrlC = "\x03";

/** Until q, Ctrl-C or a signal; the terminal is then as before, whatever ended it. */
async function live(hosts: readonly FleetHost[], folder: string): Promise<void> {
  const { stdin, stdout } = process;
  const models = modelsOf(hosts);
  const views = new Map<string, HostView>(
    hosts.map(({ name }) => [name, { host: name, reading: null, rates: null, silence: null }]),
  );
  const ended = new AbortController();
  const end = () => ended.abort();
  const pressed = (keys: Buffer) => {
    if (["q", ctrlC].some((key) => keys.includes(key))) end();
  };
  const draw = () => {
    const lines = onScreen(topLines([...views.values()], models), stdout.rows - 1, stdout.columns);
    const screen = [...lines, styleText("dim", "q ends")].map((line) => `${line}\x1b[K\n`).join("");
    stdout.write(`\x1b[H${screen.trimEnd()}\x1b[J`);
  };
  const keysOf = keyReader(folder);
  const follow = async (host: FleetHost): Promise<void> => {
    const pause = () => delay(everyMs, undefined, { signal: ended.signal });
    for await (const view of viewsOf(host, () => keysOf(host), pause, ended.signal)) views.set(host.name, view);
  };
  stdout.write(enter);
  const drawing = setInterval(draw, 500);
  try {
    draw();
    stdout.on("resize", draw);
    stdin.setRawMode?.(true);
    stdin.on("data", pressed);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, end);
    await Promise.race([Promise.all(hosts.map(follow)), once(ended.signal, "abort")]);
  } finally {
    end();
    clearInterval(drawing);
    stdout.off("resize", draw);
    stdin.off("data", pressed).setRawMode?.(false);
    stdin.pause();
    stdout.write(leave);
  }
}
