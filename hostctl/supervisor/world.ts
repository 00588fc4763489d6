import { join } from "node:path";
import { readJson } from "../atomic-file.ts";
import type { Host } from "../host.ts";
import { isLoopback, listeners } from "../listeners.ts";
import { daemonsOf } from "../lmstudio/daemons.ts";
import { greeting, instances } from "../lmstudio/http.ts";
import { daemonStatus, type LoadedInstance, ps } from "../lmstudio/lms.ts";
import { isAlive, isSame, markOf, type ProcessMark } from "../process.ts";
import type { Desired, World } from "./decide.ts";

const silent = { greeting: false, loopback: false, elsewhere: false, hung: false };
const nothing: World = { daemonPid: null, foreign: null, strays: [], server: silent, instances: null };

/** A server under load may be slow to greet: so many silences in a row are no load. At one look in two seconds it is half a minute at most. */
const hungAfter = 8;
const scanEveryMs = 10_000;
/** For the list of listeners the kernel walks its whole table of connections: no other part of a look is as dear. */
const listenersEveryMs = 60_000;

/** Looks at LM Studio by process table and HTTP only, as long as all is well: no `lms` process in the steady state. */
export class Watch {
  daemon: ProcessMark | null = null;
  private gui: ProcessMark | null = null;
  private readonly host: Host;
  private silences = 0;
  /** Files of instances that were loaded before this supervisor ran; HTTP does not tell. */
  private paths: Record<string, string> = {};
  private scannedAt = 0;
  /** When the server was last found on loopback alone; it has greeted at each look since. */
  private loopbackAt = 0;
  /** Daemons beside ours at the last two scans: a process that finds itself the second goes away by itself. */
  private seenTwice: readonly number[] = [];
  private seenOnce: readonly number[] = [];

  constructor(host: Host) {
    this.host = host;
  }

  /** The desktop application had the daemon when last asked, and still runs. */
  get guiOwns(): boolean {
    return isSame(this.gui);
  }

  /** It has just been silent: the next look should not wait long. */
  get uneasy(): boolean {
    return this.silences > 0;
  }

  /** `isOurs`: the daemon of this mark was started by the supervisor, or was there before lmstack. */
  async look(desired: Desired, isOurs: (daemon: ProcessMark) => Promise<boolean>): Promise<World> {
    const port = desired.lmstudio?.backendPort;
    if (port === undefined) return nothing;
    const daemonPid = await this.findDaemon();
    const strays = await this.findStrays();
    if (daemonPid === null) return { ...nothing, strays };
    const answer = await greeting(port);
    this.silences = answer === "silent" ? this.silences + 1 : 0;
    const hung = this.silences >= hungAfter;
    const greets = answer === "yes" || (answer === "silent" && !hung);
    if (!greets) this.loopbackAt = 0;
    // Killed between the two looks: then the server is not what is wrong.
    const mark = this.daemon;
    if (!greets && !isSame(mark)) return { ...nothing, strays };
    const [loopback, found, elsewhere, ours] = await Promise.all([
      this.listensOnLoopback(port),
      answer === "yes" ? instances(port) : null,
      greets || hung ? false : this.listensElsewhere(port),
      mark === null || isOurs(mark),
    ]);
    return {
      daemonPid,
      foreign: ours ? null : await this.busyness(),
      strays,
      server: { greeting: greets, loopback, elsewhere, hung },
      instances: found?.map((one) => this.withPath(one)) ?? null,
    };
  }

  private async findStrays(): Promise<readonly number[]> {
    const now = Date.now();
    if (now - this.scannedAt >= scanEveryMs) {
      this.scannedAt = now;
      const found = await daemonsOf(this.host);
      const others = this.guiOwns ? [] : found.filter((pid) => pid !== this.daemon?.pid);
      this.seenTwice = others.filter((pid) => this.seenOnce.includes(pid));
      this.seenOnce = others;
    }
    return this.seenTwice.filter((pid) => pid !== this.daemon?.pid && isAlive(pid));
  }

  private async busyness(): Promise<"idle" | "busy"> {
    const loaded = await ps(this.host).catch(() => []);
    return loaded.some((one) => one.busy === true) ? "busy" : "idle";
  }

  /** Call when a daemon was found that this supervisor did not start. */
  async learnPaths(): Promise<void> {
    const loaded = await ps(this.host).catch(() => []);
    this.paths = Object.fromEntries(loaded.flatMap((one) => (one.path === null ? [] : [[one.identifier, one.path]])));
  }

  forgetPath(identifier: string): void {
    delete this.paths[identifier];
  }

  private withPath(instance: LoadedInstance): LoadedInstance {
    return { ...instance, path: this.paths[instance.identifier] ?? null };
  }

  private async findDaemon(): Promise<number | null> {
    if (isSame(this.daemon)) return this.daemon.pid;
    this.daemon = null;
    this.loopbackAt = 0;
    if (this.guiOwns) return null;
    // A daemon that does not answer is as good as none, and found by the process table.
    const status = await daemonStatus(this.host).catch(() => null);
    if (status === null || !status.running || status.pid === null) return null;
    if (!status.isDaemon) {
      this.gui = markOf(status.pid);
      return null;
    }
    this.daemon = markOf(status.pid);
    await this.learnPaths();
    return status.pid;
  }

  private async listensOnLoopback(port: number): Promise<boolean> {
    if (Date.now() - this.loopbackAt < listenersEveryMs) return true;
    const found = await listeners(this.host, port);
    const loopback = found.length > 0 && found.every((listener) => isLoopback(listener.address));
    this.loopbackAt = loopback ? Date.now() : 0;
    return loopback;
  }

  /** The file is stale at times, so the greeting decides. */
  private async listensElsewhere(port: number): Promise<boolean> {
    const file = join(this.host.paths.lmstudio, ".internal", "http-server-config.json");
    const other = (await readJson<{ port?: number }>(file))?.port;
    return typeof other === "number" && other !== port && (await greeting(other)) === "yes";
  }
}
