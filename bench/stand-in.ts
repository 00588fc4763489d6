/** LM Studio's stand-in, seen from the run: started, told how to answer, and listened to. */
import type { ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { fileURLToPath } from "node:url";
import type { FromBackend, Mode, ToBackend } from "./backend/control.ts";
import { endChild, startChild, whenReady } from "./children.ts";
import type { LoadKind } from "./load/client.ts";

export interface Sight {
  readonly id: string;
  /** Of `microseconds()`. */
  readonly at: number;
}

export class StandIn extends EventEmitter<{ arrived: [Sight]; closed: [Sight]; taken: [] }> {
  readonly #child: ChildProcess;
  readonly kind: LoadKind;
  port = 0;

  private constructor(child: ChildProcess, kind: LoadKind) {
    super();
    this.#child = child;
    this.kind = kind;
    // Hundreds of requests may be waited for at once.
    this.setMaxListeners(0);
    child.on("message", (message: FromBackend) => {
      if ("arrived" in message) this.emit("arrived", { id: message.arrived, at: message.at });
      else if ("closed" in message) this.emit("closed", { id: message.closed, at: message.at });
      else if ("taken" in message) this.emit("taken");
    });
  }

  static async start(kind: LoadKind, core: number | undefined): Promise<StandIn> {
    const file = fileURLToPath(new URL("backend/main.ts", import.meta.url));
    const child = startChild([process.execPath, file, kind], { core, stdio: ["ignore", "ignore", "pipe", "ipc"] });
    const standIn = new StandIn(child, kind);
    const first = once(child, "message") as Promise<[{ port: number }]>;
    const [{ port }] = await whenReady(child, "LM Studio's stand-in", first);
    standIn.port = port;
    return standIn;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async answer(mode: Partial<Mode>): Promise<void> {
    const taken = once(this, "taken");
    this.#tell({ mode: { tokens: 0, gapMs: 0, burst: 0, watch: false, ...mode } });
    await taken;
  }

  /** Ends a request that is never answered by itself. */
  finish(id: string): void {
    this.#tell({ finish: id });
  }

  async end(): Promise<void> {
    await endChild(this.#child);
  }

  /** The next sight of a request. Rejects after ten seconds. */
  sight(event: "arrived" | "closed", id: string): Promise<Sight> {
    return new Promise((resolve, reject) => {
      const onSight = (sight: Sight) => {
        if (sight.id !== id) return;
        clearTimeout(timer);
        this.off(event, onSight);
        resolve(sight);
      };
      const timer = setTimeout(() => {
        this.off(event, onSight);
        reject(new Error(`the stand-in has not seen ${id} ${event === "arrived" ? "arrive" : "close"} within 10 s`));
      }, 10_000);
      this.on(event, onSight);
    });
  }

  #tell(message: ToBackend): void {
    this.#child.send(message);
  }
}
