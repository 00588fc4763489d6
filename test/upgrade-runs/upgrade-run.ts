/** Upgrades one after the other, and what became of each. */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Row } from "../e2e/rows.ts";
import type { Random } from "../proxy-runs/random.ts";
import type { Running } from "../unit/hostctl/scratch.ts";
import { type Breakage, breakages, good, newer, ServingHost } from "./broken-version.ts";

type Say = (line: string) => void;

/** Who is killed while a version is tried. Without a service manager nobody starts a killed supervisor again but the next `up`. */
export const victims = ["hostctl", "supervisor", "hostctl and supervisor"] as const;
export type Victim = (typeof victims)[number];

const settleMs = 60_000;
/** About as long as an upgrade of the stand-in takes. */
const upgradeMs = 8000;

export async function brokenRow(kind: Breakage, times: number, say: Say): Promise<Row> {
  await using host = await ServingHost.make();
  let right = 0;
  for (let time = 1; time <= times; time++) {
    const fault = await tryBroken(host, kind);
    say(`a version that ${kind}, ${time} of ${times}: ${fault ?? "taken back"}`);
    if (fault === null) right++;
  }
  return rowOf(`version that ${kind}: back by itself, the failure says why, the next run is empty`, right, times);
}

/** @returns what was not as promised */
export async function tryBroken(host: ServingHost, kind: Breakage): Promise<string | null> {
  await host.setTraps({ [newer]: breakages[kind].traps });
  const { ok, error } = await host.up(newer);
  if (ok) return "it was taken for a good one";
  if (!breakages[kind].says.test(error?.message ?? "") || !error?.message.includes(`${good} serves again`))
    return `the failure says ${error?.message}`;
  return (await faultOf(host, good)) ?? (await notEmpty(host, good));
}

export async function killedRow(victim: Victim, times: number, random: Random, say: Say): Promise<Row> {
  await using host = await ServingHost.make();
  let right = 0;
  for (let time = 1; time <= times; time++) {
    const moment = random.below(upgradeMs);
    const fault = await killUpgrade(host, victim, moment);
    say(
      `${victim} killed after ${moment} ms, ${time} of ${times}: ${fault ?? "one version serves, and the next run is right"}`,
    );
    if (fault === null) right++;
  }
  return rowOf(`upgrade whose ${victim} is killed: one version serves, the next run is right`, right, times);
}

/**
 * @param moment in ms, or when the upgrade has said these words
 * @returns what was not as promised
 */
export async function killUpgrade(host: ServingHost, victim: Victim, moment: number | string): Promise<string | null> {
  const { scratch } = host;
  const running = scratch.start("converge", "lmstudio", host.document(newer));
  const due = typeof moment === "number" ? delay(moment) : heard(running, moment);
  await Promise.race([due, running.answer]);
  if (victim !== "supervisor") running.child.kill("SIGKILL");
  if (victim !== "hostctl") for (const pid of await scratch.processes("supervise")) process.kill(pid, "SIGKILL");
  const { ok } = await running.answer;
  // By itself, where there still is somebody who could.
  if (victim === "hostctl" && !ok) {
    const left = await eventually(host, await host.provedLast());
    // A plain process that was just being restarted is nobody's to start again; under systemd or launchd it is the manager's.
    if (left !== null && (await scratch.processes("supervise")).length > 0) return `by itself: ${left}`;
  }
  for (const version of [newer, good]) {
    const { error } = await host.up(version);
    if (error !== undefined) return `the next run with ${version}: ${error.message}`;
    const fault = (await faultOf(host, version)) ?? (await notEmpty(host, version));
    if (fault !== null) return fault;
  }
  return null;
}

async function heard({ child, said }: Running, words: string): Promise<void> {
  while (!said().includes(words)) await once(child.stderr ?? child, "data");
}

async function eventually(host: ServingHost, version: string): Promise<string | null> {
  const deadline = Date.now() + settleMs;
  for (;;) {
    const fault = (await host.servingFaults(version)).join("; ") || null;
    const hopeless = (await host.scratch.processes("supervise")).length === 0;
    if (fault === null || hopeless || Date.now() > deadline) return fault;
    await delay(500);
  }
}

async function faultOf(host: ServingHost, version: string): Promise<string | null> {
  return (await host.faults(version)).join("; ") || null;
}

async function notEmpty(host: ServingHost, version: string): Promise<string | null> {
  const starts = host.starts();
  const { changed, error } = await host.up(version);
  if (error !== undefined) return `the run with ${version} after it fails: ${error.message}`;
  if (changed.length > 0)
    return `the run with ${version} after it changes ${changed.map(({ what }) => what).join(", ")}`;
  return host.starts() === starts ? null : `the run with ${version} after it restarts the daemon`;
}

function rowOf(name: string, value: number, times: number): Row {
  return { name, value, unit: `of ${times}`, bar: `${times}`, ok: value === times };
}
