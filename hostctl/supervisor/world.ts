import { join } from "node:path";
import { readJson } from "../atomic-file.ts";
import type { Host } from "../host.ts";
import { isLoopback, listeners } from "../listeners.ts";
import { greeting, instances } from "../lmstudio/http.ts";
import { daemonStatus, type LoadedInstance, ps } from "../lmstudio/lms.ts";
import { isSame, markOf, type ProcessMark } from "../process.ts";
import type { Desired, World } from "./decide.ts";

const nothing: World = {
  daemonPid: null,
  server: { greeting: false, loopback: false, elsewhere: false },
  instances: null,
};

/** Looks at LM Studio by process table and HTTP only, as long as all is well: no `lms` process in the steady state. */
export class Watch {
  daemon: ProcessMark | null = null;
  private readonly host: Host;
  private silences = 0;
  /** Files of instances that were loaded before this supervisor ran; HTTP does not tell. */
  private paths: Record<string, string> = {};

  constructor(host: Host) {
    this.host = host;
  }

  async look(desired: Desired): Promise<World> {
    const port = desired.lmstudio?.backendPort;
    if (port === undefined) return nothing;
    const daemonPid = await this.findDaemon();
    if (daemonPid === null) return nothing;
    const greets = await this.greets(port);
    // Killed between the two looks: then the server is not what is wrong.
    if (!greets && !isSame(this.daemon)) return nothing;
    const [loopback, found, elsewhere] = await Promise.all([
      this.listensOnLoopback(port),
      greets ? instances(port) : null,
      greets ? false : this.listensElsewhere(port),
    ]);
    return {
      daemonPid,
      server: { greeting: greets, loopback, elsewhere },
      instances: found?.map((one) => this.withPath(one)) ?? null,
    };
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
    const { running, pid } = await daemonStatus(this.host);
    if (!running || pid === null) return null;
    this.daemon = markOf(pid);
    await this.learnPaths();
    return pid;
  }

  /** A server under load may be slow to greet: only three silences in a row count as gone. A refused connection counts at once. */
  private async greets(port: number): Promise<boolean> {
    const answer = await greeting(port);
    this.silences = answer === "silent" ? this.silences + 1 : 0;
    return answer === "yes" || (answer === "silent" && this.silences < 3);
  }

  private async listensOnLoopback(port: number): Promise<boolean> {
    const found = await listeners(this.host, port);
    return found.length > 0 && found.every((listener) => isLoopback(listener.address));
  }

  /** The file is stale at times, so the greeting decides. */
  private async listensElsewhere(port: number): Promise<boolean> {
    const file = join(this.host.paths.lmstudio, ".internal", "http-server-config.json");
    const other = (await readJson<{ port?: number }>(file))?.port;
    return typeof other === "number" && other !== port && (await greeting(other)) === "yes";
  }
}
