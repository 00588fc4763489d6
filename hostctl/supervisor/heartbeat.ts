/** What systemd is told of the supervisor: that it is there, what it sees, and that it still moves. By `systemd-notify`, so Node needs no addon. */
import { run } from "../command.ts";
import type { Host } from "../host.ts";

type Tell = (words: readonly string[]) => Promise<unknown>;

/**
 * The keep-alive comes from a timer, because a load may take half an hour; but only as long as the step in progress is within its own limit,
 * so that a loop that hangs is restarted and not just a process that does.
 */
export class Heartbeat {
  readonly #tell: Tell;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout | undefined;
  #due = Number.POSITIVE_INFINITY;
  #shown = "";
  #ready = false;

  constructor(tell: Tell, watchdogUsec: number, now: () => number = Date.now) {
    this.#tell = tell;
    this.#now = now;
    // Half of the interval, as systemd asks; each costs a process.
    if (watchdogUsec > 0) this.#timer = setInterval(() => this.beat(), watchdogUsec / 1000 / 2).unref();
  }

  /** Outside of systemd it says nothing. */
  static of(host: Host, env: Readonly<Record<string, string | undefined>> = process.env): Heartbeat {
    const told = env.NOTIFY_SOCKET !== undefined;
    const tell: Tell = (words) => run(host, "systemd-notify", words, { timeoutMs: 5000 });
    return new Heartbeat(told ? tell : async () => {}, told ? Number(env.WATCHDOG_USEC ?? 0) : 0);
  }

  /** The step that begins now ends by then. */
  within(ms: number): void {
    this.#due = this.#now() + ms;
  }

  beat(): void {
    if (this.#now() <= this.#due) void this.#tell(["WATCHDOG=1"]);
  }

  /** Once: a unit that waits for it counts as started from now on. */
  async ready(): Promise<void> {
    if (this.#ready) return;
    this.#ready = true;
    await this.#tell(["--ready"]);
  }

  /** A line for `systemctl status`. */
  status(words: string): void {
    if (words === this.#shown) return;
    this.#shown = words;
    void this.#tell([`--status=${words}`]);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
