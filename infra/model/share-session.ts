/**
 * A host's part in bringing files to others, seen from here: `hostctl spread` at the end of an ssh, which answers each line with one. It ends with the
 * ssh, and the ssh with this process, however that ends.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { z } from "zod";

/** As an order to share says it; see `ShareDocument` of hostctl. */
export interface ShareOrder {
  readonly keySha256: string;
  readonly only: readonly string[];
  readonly bytesPerSecond?: number;
}

export interface SharingHost {
  readonly stack: string;
  /** Of LM Studio there, where that is not the user who connects. */
  readonly owner: string | undefined;
  /** Under which other hosts reach it. */
  readonly address: string;
}

const answer = z.union([
  z.object({ ok: z.literal(true), observed: z.unknown() }),
  z.object({ ok: z.literal(false), error: z.object({ message: z.string(), hint: z.string() }) }),
]);
const opened = z.object({ port: z.int() });

/** For ssh and the start of hostctl. */
const openMs = 60_000;
/** Of how many ports from the first on one has to be free. */
const ports = { port: 8079, ports: 16 };

export class ShareSession implements Disposable {
  /** Where other hosts get what it has. */
  readonly url: string;
  readonly #channel: Channel;

  private constructor(channel: Channel, url: string) {
    this.#channel = channel;
    this.url = url;
  }

  /**
   * @param folder the project's folder `infra`
   * @param say takes what the host says of its progress, line by line
   * @throws Error in the host's own words, or when it does not answer
   */
  static async open(
    { stack, owner, address }: SharingHost,
    order: ShareOrder,
    folder: string,
    say: (line: string) => void,
  ): Promise<ShareSession> {
    const bare = address.replace(/^\[(.*)\]$/, "$1");
    const sixth = bare.includes(":");
    const channel = new Channel(["host/on-host.sh", "ssh", stack, owner ?? "-", "spread"], folder, say);
    const timer = setTimeout(() => channel.end(), openMs);
    try {
      const { port } = opened.parse(await channel.ask({ host: sixth ? "::" : "0.0.0.0", ...ports, ...order }));
      return new ShareSession(channel, `http://${sixth ? `[${bare}]` : bare}:${port}`);
    } catch (error) {
      channel.end();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** One at a time. @returns what the host tells. @throws Error in its words */
  async ask(order: object): Promise<unknown> {
    return await this.#channel.ask(order);
  }

  [Symbol.dispose](): void {
    this.#channel.end();
  }
}

class Channel {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  readonly #closed: Promise<void>;
  #said = "";

  constructor(words: readonly string[], folder: string, say: (line: string) => void) {
    // A group of its own, because the ssh is below a shell; pipes of its own, because a shared connection keeps open what it was given.
    this.#child = spawn("sh", words, { cwd: folder, stdio: "pipe", detached: true });
    this.#child.stdin.on("error", () => {});
    this.#closed = new Promise((resolve) => this.#child.once("close", () => resolve()).once("error", () => resolve()));
    createInterface({ input: this.#child.stderr }).on("line", (line) => {
      this.#said = line;
      say(line);
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async ask(order: object): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) {
      await this.#closed;
      throw new Error(this.#said || "the connection ended");
    }
    const said = answer.parse(JSON.parse(value));
    if (said.ok) return said.observed;
    throw new Error(`${said.error.message}: ${said.error.hint}`);
  }

  end(): void {
    const { pid, stdin, stdout, stderr } = this.#child;
    for (const stream of [stdin, stdout, stderr]) stream.destroy();
    try {
      if (pid !== undefined) process.kill(-pid);
    } catch {
      // It has ended by itself.
    }
  }
}
