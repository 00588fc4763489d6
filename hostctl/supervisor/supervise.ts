/** The long-running verb: the only one that changes LM Studio. */
import { existsSync, realpathSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { services, supervisorNodeOptions } from "../../infra/spec/host-layout.ts";
import { writeJson } from "../atomic-file.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { addIncident } from "../incidents.ts";
import { note } from "../journal.ts";
import { daemonDown } from "../lmstudio/lms.ts";
import { tryLock } from "../lock.ts";
import { keepLogsShort } from "../logs.ts";
import { pause } from "../pause.ts";
import { endProcess, isSame, markOf } from "../process.ts";
import { tendTrial } from "../upgrade/tend.ts";
import { act } from "./act.ts";
import { type Channel, openChannel } from "./channel.ts";
import { type Action, type Desired, decide, type Memory, type World } from "./decide.ts";
import { readDesired } from "./desired.ts";
import { tellGpus } from "./gpu.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Holds, holdIsOver } from "./hold.ts";
import { incidentsBetween } from "./incident.ts";
import { Notebook } from "./notebook.ts";
import { Proving } from "./proving.ts";
import { keepProxyContainer } from "./proxy-container.ts";
import { givenUp, quarantineAfter } from "./quarantine.ts";
import { isCalm, judgeLmstudio, judgeModel, type SupervisorStatus, statusWords, surplusOf } from "./status.ts";
import { tellInstances } from "./switchboard.ts";
import { wordsOf } from "./words.ts";
import { Watch } from "./world.ts";

const idleMs = 2000;
/** Between looks while all is as declared. That the daemon is gone is seen within two seconds all the same, without a look. */
const calmMs = 10_000;
const pulseMs = 2000;
const uneasyMs = 500;
/** A step that takes longer hangs: `lms` calls and waits of one step have limits that together are shorter. */
const longestStepMs = 600_000;
const longestLoadMs = 2_700_000;
/** Between SIGTERM and the end; systemd waits for 15 s. */
const shutdownMs = 8000;

export async function supervise(host: Host): Promise<void> {
  const release = await takeLock(host);
  await mkdir(host.paths.run, { recursive: true, mode: 0o700 });
  await writeJson(join(host.paths.run, `${services.supervisor}.pid`), markOf(process.pid));
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop.abort());
  const heart = Heartbeat.of(host);
  const supervisor = new Supervisor(host, await Notebook.open(host), heart, stop.signal);
  const channel = await openChannel(host, () => ({ poked: supervisor.poke() }));
  supervisor.channel = channel;
  void tellGpus(host, stop.signal);
  void keepProxyContainer(host, (line) => supervisor.say(line), stop.signal);
  void keepLogsShort(host, stop.signal);
  await supervisor.loop();
  heart.close();
  await supervisor.shutDown();
  await channel.close();
  await release();
}

async function takeLock(host: Host): Promise<() => Promise<void>> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const release = await tryLock(host, "supervisor");
    if (release !== null) return release;
    await pause(200);
  }
  throw new HostFailure("busy", "another supervisor is running for this account", "stop it first");
}

class Supervisor {
  channel: Channel | null = null;
  private readonly host: Host;
  private readonly notebook: Notebook;
  private readonly watch: Watch;
  private readonly holds: Holds;
  private readonly proving: Proving;
  private readonly heart: Heartbeat;
  private readonly signal: AbortSignal;
  private readonly startedFrom: string;
  private pokes = 0;
  private wake: () => void = () => {};
  private shown = "";
  private seen = 0;
  private calm = false;
  /** The look before, unless this supervisor itself acted since. */
  private before: { desired: Desired; world: World; memory: Memory } | null = null;

  constructor(host: Host, notebook: Notebook, heart: Heartbeat, signal: AbortSignal) {
    this.host = host;
    this.heart = heart;
    this.notebook = notebook;
    this.watch = new Watch(host);
    this.holds = new Holds(host, (line) => this.say(line), signal);
    this.proving = new Proving(
      host,
      (line) => this.say(line),
      signal,
      () => this.wake(),
    );
    this.signal = signal;
    this.startedFrom = realpath(host.paths.current);
    signal.addEventListener("abort", () => this.wake());
  }

  poke(): number {
    this.pokes++;
    this.notebook.forgetFailures();
    this.wake();
    return this.pokes;
  }

  async loop(): Promise<void> {
    await this.waitForLeftOver();
    while (!this.signal.aborted) {
      this.heart.within(longestStepMs);
      const worked = await this.turn().catch((error: unknown) => {
        this.say(`this round failed: ${error instanceof Error ? error.message : String(error)}`);
        return false;
      });
      // Whatever this round met, it is a round: a unit that never counts as started is ended by systemd.
      await this.heart.ready();
      if (worked) continue;
      this.followRuntime();
      await this.rest();
    }
  }

  /** One look and at most one action. True when there was one. */
  private async turn(): Promise<boolean> {
    this.seen = this.pokes;
    const { seen } = this;
    this.calm = false;
    const trial = await tendTrial(this.host);
    if (trial !== null) this.before = null;
    if (trial === "apart") return false;
    const desired = await readDesired(this.host);
    await this.notebook.refresh();
    const world = await this.watch.look(desired, (mark) => this.notebook.isOurs(mark));
    if (world.server.greeting && !this.watch.uneasy) this.notebook.serverAnswered(Date.now());
    if (this.watch.daemon !== null) await this.notebook.newDaemon(this.watch.daemon, false);
    // What a version does while it is tried is told by who tries it.
    if (trial === null) await this.noteIncidents(desired, world);
    for (const model of this.holds.models)
      if (holdIsOver(model, desired, world, this.notebook.memory)) await this.holds.end(model);
    await this.notebook.forgetUndeclared(desired.models);
    // What a killed supervisor had begun to tell, and what a new daemon has made untrue.
    await tellInstances(this.host, this.notebook.memory.serves);
    this.notebook.silent = this.proving.silent;
    const ready = await this.report(desired, world, seen);
    // A version on trial is proved by who tries it.
    if (trial === null) await this.proving.look(desired, world.instances === null ? null : ready, this.watch.daemon);
    await this.heart.ready();
    const action = decide(desired, world, this.notebook.memory, Date.now());
    if (action === null || desired.lmstudio === null || this.signal.aborted) return false;
    this.before = null;
    await this.carryOut(action, desired.lmstudio.backendPort);
    return true;
  }

  private async carryOut(action: Action, port: number): Promise<void> {
    const { host, notebook, watch, holds, signal } = this;
    const { what, why } = wordsOf(action);
    const quarantined = notebook.beginning(action, what, Date.now());
    if (quarantined !== null) return await this.tell(what, why, quarantined.reason, false);
    this.heart.within(action.do === "load" || action.do === "swap" ? longestLoadMs : longestStepMs);
    const say = (line: string) => this.say(line);
    if (action.do !== "load" && action.do !== "unload") say(`${what}: ${why}`);
    const daemon = watch.daemon;
    try {
      await act(action, { host, port, notebook, watch, holds, signal, say });
      notebook.succeeded(action, Date.now());
      if (action.do === "load" || action.do === "swap") this.proving.renewed(action.model.identifier);
      await this.tell(what, why, "done", true);
    } catch (error) {
      if (signal.aborted) return;
      if (daemon !== null && !isSame(daemon)) notebook.diedOf(action);
      const failed = notebook.failed(action, error, Date.now());
      // What is tried on and on is told five times, and its reason stays in the status.
      if (failed.count > quarantineAfter) return this.say(`${what}: failed (${failed.count}): ${failed.reason}`);
      const how = givenUp(failed)
        ? `${failed.reason} (quarantined until it is declared anew, or \`up\`)`
        : failed.reason;
      await this.tell(what, why, `failed (${failed.count}): ${how}`, false);
    }
  }

  private async tell(what: string, why: string, result: string, ok: boolean): Promise<void> {
    if (!ok) this.say(`${what}: ${result}`);
    await note(this.host, { what, why, result, ok });
  }

  private async noteIncidents(desired: Desired, world: World): Promise<void> {
    const { memory } = this.notebook;
    if (this.before !== null && !this.signal.aborted) {
      for (const { resource, words } of incidentsBetween(this.before, desired, world, memory)) {
        this.say(`${resource}: ${words}`);
        await addIncident(this.host, resource, `${words}, ${new Date().toISOString()}`);
      }
    }
    this.before = { desired, world, memory };
  }

  /** Returns the identifiers of the models that are there as declared. */
  private async report(desired: Desired, world: World, seen: number): Promise<readonly string[]> {
    const { memory, startedByUs } = this.notebook;
    const engine = memory.engine?.match(/^(.+)@([^@]+)$/);
    const status: Omit<SupervisorStatus, "at"> = {
      pid: process.pid,
      seen,
      daemon: { pid: world.daemonPid, startedByUs },
      engine: engine ? { name: engine[1] ?? "", version: engine[2] ?? "" } : null,
      lmstudio: judgeLmstudio(desired, world, memory),
      models: Object.fromEntries(desired.models.map((model) => [model.identifier, judgeModel(model, world, memory)])),
      proofs: this.proving.proofs,
      surplus: surplusOf(desired, world, memory),
    };
    const ready = Object.entries(status.models).flatMap(([id, { state }]) => (state === "ready" ? [id] : []));
    this.heart.status(statusWords(status));
    this.calm = isCalm(status) && !this.watch.uneasy;
    const text = JSON.stringify(status);
    if (text === this.shown) return ready;
    this.shown = text;
    const dated = { ...status, at: new Date().toISOString() };
    await writeJson(join(this.host.paths.run, "status.json"), dated);
    this.channel?.broadcast({ status: dated });
    return ready;
  }

  say(line: string): void {
    this.host.say(line);
    this.channel?.broadcast({ progress: line });
  }

  private async rest(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.wake(), this.calm ? calmMs : this.watch.uneasy ? uneasyMs : idleMs);
      const { daemon } = this.watch;
      // Elsewhere each takes a call of `ps`, which costs more than it brings.
      const cheap = this.host.platform === "linux" && daemon !== null;
      const pulse = cheap ? setInterval(() => isSame(daemon) || this.wake(), pulseMs) : undefined;
      this.wake = () => {
        clearTimeout(timer);
        clearInterval(pulse);
        resolve();
      };
      if (this.signal.aborted || this.pokes > this.seen) this.wake();
    });
  }

  /** A load that a killed predecessor had begun ends first; a second one would make a second instance. */
  private async waitForLeftOver(): Promise<void> {
    const left = await this.notebook.leftOver();
    if (!isSame(left)) return;
    await this.heart.ready();
    this.heart.within(longestLoadMs);
    while (isSame(left) && !this.signal.aborted) {
      this.say("waiting for a load that was begun before");
      await pause(500);
    }
  }

  /** A new runtime was uploaded: the same process goes on with the new program, and the daemon in its control group lives on. */
  private followRuntime(): void {
    const now = realpath(this.host.paths.current);
    if (now === "" || this.startedFrom === "" || now === this.startedFrom) return;
    const { node, hostctl } = this.host.program;
    if (!existsSync(node) || !existsSync(hostctl)) return;
    this.say("going on with the new runtime");
    process.execve?.(node, [node, ...supervisorNodeOptions, hostctl, "supervise"], {
      ...process.env,
      HOME: this.host.home,
    });
  }

  /** Takes along the daemon if it was ours; one that ran before is left as it is. */
  async shutDown(): Promise<void> {
    const mark = this.watch.daemon;
    if (!this.notebook.startedByUs || mark === null) return;
    this.say("stopping LM Studio's daemon");
    await Promise.race([daemonDown(this.host, shutdownMs - 3000).catch(() => {}), pause(shutdownMs - 2000)]);
    await endProcess(mark, 500);
  }
}

function realpath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return "";
  }
}
