/** A thread of Codex: its requests as the real client writes them, every one the one before and a little more. Pure. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export type Item = Readonly<Record<string, unknown>>;

interface Captured {
  readonly input: readonly Item[];
  readonly [field: string]: unknown;
}

const captured = JSON.parse(
  readFileSync(join(import.meta.dirname, "../codex-fixtures/shell.json"), "utf8"),
) as Captured;
/** Instructions and environment; what follows in the capture is its own conversation. */
const opening = captured.input.slice(0, 3);
/** The capture's long texts are cut; with this one a first request is as long as Codex's. */
const instructions = "You are a coding agent running in the Codex CLI, a terminal-based coding assistant. ".repeat(440);

export class Thread {
  readonly id: string;
  readonly #model: string;
  readonly #items: Item[];

  constructor(id: string, model: string) {
    this.id = id;
    this.#model = model;
    this.#items = [message("developer", instructions), ...opening];
  }

  ask(words: string): void {
    this.#items.push(message("user", words));
  }

  /** Takes the items of an answer, and gives each of its calls an output. @returns whether there was a call */
  take(answer: readonly Item[]): boolean {
    this.#items.push(...answer);
    const calls = answer.filter(({ type }) => type === "function_call");
    for (const { call_id } of calls) {
      const output = "Wall time: 0.0001 seconds\nProcess exited with code 0\nOutput:\nlmstack-step-1\n";
      this.#items.push({ type: "function_call_output", call_id, output });
    }
    return calls.length > 0;
  }

  headers(key: string): Readonly<Record<string, string>> {
    return {
      "x-codex-window-id": `${this.id}:0`,
      "x-client-request-id": this.id,
      "session-id": this.id,
      "thread-id": this.id,
      accept: "text/event-stream",
      "content-type": "application/json",
      authorization: `Bearer ${key}`,
      originator: "codex_exec",
      "user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.169.0)",
    };
  }

  body(): string {
    const metadata = { session_id: this.id, thread_id: this.id, "x-codex-window-id": `${this.id}:0` };
    return JSON.stringify({
      ...captured,
      model: this.#model,
      input: this.#items,
      prompt_cache_key: this.id,
      client_metadata: metadata,
    });
  }
}

const message = (role: string, text: string): Item => ({
  type: "message",
  role,
  content: [{ type: "input_text", text }],
});
