/** The long-running verb: the only one that changes LM Studio. */
import { existsSync, realpathSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { services } from "../../infra/spec/host-layout.ts";
import { writeJson } from "../atomic-file.ts";
import { run } from "../command.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { addIncident } from "../incidents.ts";
import { note } from "../journal.ts";
import { daemonDown } from "../lmstudio/lms.ts";
import { tryLock } from "../lock.ts";
import { keepLogsShort } from "../logs.ts";
import { pause } from "../pause.ts";
import { endProcess, isSame, markOf } from "../process.ts";
import { tendTrial } from "../upgrade/way-back.ts";
import { act } from "./act.ts";
import { type Channel, openChannel } from "./channel.ts";
import { type Desired, decide, type Memory, type World } from "./decide.ts";
import { readDesired } from "./desired.ts";
import { tellGpus } from "./gpu.ts";
import { Holds, holdIsOver } from "./hold.ts";
import { incidentsBetween } from "./incident.ts";
import { Notebook } from "./notebook.ts";
import { keepProxyContainer } from "./proxy-container.ts";
import { judgeLmstudio, judgeModel, type SupervisorStatus, surplusOf } from "./status.ts";
import { wordsOf } from "./words.ts";
import { Watch } from "./world.ts";

const idleMs = 2000;
/** Between SIGTERM and the end; systemd waits for 15 s. */
const shutdownMs = 8000;

export async function supervise(host: Host): Promise<void> {
  const release = await takeLock(host);
  await mkdir(host.paths.run, { recursive: true, mode: 0o700 });
  await writeJson(join(host.paths.run, `${services.supervisor}.pid`), markOf(process.pid));
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop.abort());
  const supervisor = new Supervisor(host, await Notebook.open(host), stop.signal);
  const channel = await openChannel(host, () => ({ poked: supervisor.poke() }));
  supervisor.channel = channel;
  void tellGpus(host, stop.signal);
  void keepProxyContainer(host, (line) => supervisor.say(line), stop.signal);
  void keepLogsShort(host, stop.signal);
  if (process.env.NOTIFY_SOCKET) await run(host, "systemd-notify", ["--ready"], { timeoutMs: 5000 });
  await supervisor.loop();
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
  private readonly signal: AbortSignal;
  private readonly startedFrom: string;
  private pokes = 0;
  private wake: () => void = () => {};
  private shown = "";
  private seen = 0;
  /** The look before, unless this supervisor itself acted since. */
  private before: { desired: Desired; world: World; memory: Memory } | null = null;

  constructor(host: Host, notebook: Notebook, signal: AbortSignal) {
    this.host = host;
    this.notebook = notebook;
    this.watch = new Watch(host);
    this.holds = new Holds(host, (line) => this.say(line), signal);
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
      const worked = await this.turn().catch((error: unknown) => {
        this.say(`this round failed: ${error instanceof Error ? error.message : String(error)}`);
        return false;
      });
      if (worked) continue;
      this.followRuntime();
      await this.rest();
    }
  }

  /** One look and at most one action. True when there was one. */
  private async turn(): Promise<boolean> {
    this.seen = this.pokes;
    const { seen } = this;
    const trial = await tendTrial(this.host);
    if (trial !== null) this.before = null;
    if (trial === "apart") return false;
    const desired = await readDesired(this.host);
    await this.notebook.refresh();
    const world = await this.watch.look(desired);
    if (this.watch.daemon !== null) await this.notebook.newDaemon(this.watch.daemon, false);
    // What a version does while it is tried is told by who tries it.
    if (trial === null) await this.noteIncidents(desired, world);
    for (const model of this.holds.models)
      if (holdIsOver(model, desired, world, this.notebook.memory)) await this.holds.end(model);
    await this.report(desired, world, seen);
    const action = decide(desired, world, this.notebook.memory, Date.now());
    if (action === null || desired.lmstudio === null || this.signal.aborted) return false;
    const { host, notebook, watch, holds, signal } = this;
    this.before = null;
    try {
      await act(action, {
        host,
        port: desired.lmstudio.backendPort,
        notebook,
        watch,
        holds,
        signal,
        say: (line) => this.say(line),
      });
      notebook.succeeded(action);
      await note(host, { ...wordsOf(action), result: "done", ok: true });
    } catch (error) {
      if (signal.aborted) return false;
      const failed = notebook.failed(action, error, Date.now());
      this.say(`${action.do} failed (${failed.count}): ${failed.reason}`);
      await note(host, { ...wordsOf(action), result: `attempt ${failed.count}: ${failed.reason}`, ok: false });
    }
    return true;
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

  private async report(desired: Desired, world: World, seen: number): Promise<void> {
    const { memory, startedByUs } = this.notebook;
    const engine = memory.engine?.match(/^(.+)@([^@]+)$/);
    const status: Omit<SupervisorStatus, "at"> = {
      pid: process.pid,
      seen,
      daemon: { pid: world.daemonPid, startedByUs },
      engine: engine ? { name: engine[1] ?? "", version: engine[2] ?? "" } : null,
      lmstudio: judgeLmstudio(desired, world, memory),
      models: Object.fromEntries(desired.models.map((model) => [model.identifier, judgeModel(model, world, memory)])),
      surplus: surplusOf(desired, world, memory),
    };
    const text = JSON.stringify(status);
    if (text === this.shown) return;
    this.shown = text;
    const dated = { ...status, at: new Date().toISOString() };
    await writeJson(join(this.host.paths.run, "status.json"), dated);
    this.channel?.broadcast({ status: dated });
  }

  say(line: string): void {
    this.host.say(line);
    this.channel?.broadcast({ progress: line });
  }

  private async rest(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, idleMs);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.signal.aborted || this.pokes > this.seen) this.wake();
    });
  }

  /** A load that a killed predecessor had begun ends first; a second one would make a second instance. */
  private async waitForLeftOver(): Promise<void> {
    const left = await this.notebook.leftOver();
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
    process.execve?.(node, [node, hostctl, "supervise"], { ...process.env, HOME: this.host.home });
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
