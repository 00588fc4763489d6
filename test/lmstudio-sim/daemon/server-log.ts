/** LM Studio's log: a file a day, and whoever follows with `lms log stream`. Prompts are in it unless the setting says otherwise. */
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";

export interface LogLine {
  readonly timestamp: number;
  readonly data: { readonly type: string; readonly [key: string]: unknown };
}

export class ServerLog {
  readonly #home: string;
  readonly #followers = new Set<(line: LogLine) => void>();

  constructor(home: string) {
    this.#home = home;
  }

  add(type: string, content: unknown): void {
    const now = new Date();
    const line: LogLine = { timestamp: now.getTime(), data: { type, content } };
    for (const follower of this.#followers) follower(line);
    if (type !== "server.log") return;
    const day = now.toISOString().slice(0, 10);
    const folder = join(this.#home, "server-logs", day.slice(0, 7));
    try {
      mkdirSync(folder, { recursive: true });
      appendFileSync(join(folder, `${day}.1.log`), `[${now.toISOString()}][INFO] ${String(content)}\n`);
    } catch {
      // A full or vanished disk must not stop the server.
    }
  }

  /** Returns the way to stop following. */
  follow(follower: (line: LogLine) => void): () => void {
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }
}
