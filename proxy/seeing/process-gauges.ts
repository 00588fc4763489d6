/** The process itself, under the names that every Node dashboard knows; all of it is read when somebody asks. */
import { readdir, readFile } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, type Registry } from "prom-client";

/** The histogram's timer; its own period is part of each measured value. */
const lagMilliseconds = 20;

export class ProcessGauges {
  readonly #delay = monitorEventLoopDelay({ resolution: lagMilliseconds });
  readonly #cpu: Counter;
  readonly #resident: Gauge;
  readonly #heapUsed: Gauge;
  readonly #heapTotal: Gauge;
  readonly #external: Gauge;
  readonly #descriptors: Gauge;
  readonly #lag: Gauge;
  readonly #limit: Gauge;
  #limitRead = false;

  constructor(registry: Registry, version: string) {
    const registers = [registry];
    const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
    this.#cpu = new Counter({ name: "process_cpu_seconds_total", help: "CPU time, user and system.", registers });
    this.#resident = gauge("process_resident_memory_bytes", "Resident memory.");
    this.#descriptors = gauge("process_open_fds", "Open file descriptors (Linux).");
    this.#limit = gauge("process_max_fds", "Most file descriptors that may be open (Linux).");
    this.#heapUsed = gauge("nodejs_heap_size_used_bytes", "JavaScript heap in use.");
    this.#heapTotal = gauge("nodejs_heap_size_total_bytes", "JavaScript heap.");
    this.#external = gauge("nodejs_external_memory_bytes", "Memory outside the heap: buffers.");
    this.#lag = gauge(
      "lmstack_event_loop_lag_seconds",
      "How late the event loop was, 99th percentile since the last scrape.",
    );
    gauge("process_start_time_seconds", "Start of the process since the epoch.").set(performance.timeOrigin / 1000);
    const build = { name: "lmstack_build_info", help: "Always 1.", labelNames: ["version", "node"], registers };
    new Gauge(build).set({ version, node: process.version }, 1);
    this.#delay.enable();
  }

  async read(): Promise<void> {
    const { user, system } = process.cpuUsage();
    this.#cpu.reset();
    this.#cpu.inc((user + system) / 1e6);
    const memory = process.memoryUsage();
    this.#resident.set(memory.rss);
    this.#heapUsed.set(memory.heapUsed);
    this.#heapTotal.set(memory.heapTotal);
    this.#external.set(memory.external);
    this.#lag.set(Math.max(0, this.#delay.percentile(99) / 1e9 - lagMilliseconds / 1000));
    this.#delay.reset();
    await Promise.all([this.#readDescriptors(), this.#readLimit()]);
  }

  close(): void {
    this.#delay.disable();
  }

  async #readDescriptors(): Promise<void> {
    const open = await readdir("/proc/self/fd").catch(() => undefined);
    if (open === undefined) this.#descriptors.remove();
    else this.#descriptors.set(open.length);
  }

  async #readLimit(): Promise<void> {
    if (this.#limitRead) return;
    this.#limitRead = true;
    const limits = await readFile("/proc/self/limits", "utf8").catch(() => "");
    const soft = limits.match(/^Max open files\s+(\d+)/m)?.[1];
    if (soft === undefined) this.#limit.remove();
    else this.#limit.set(Number(soft));
  }
}
