/** A program in a tmux of its own: typed into and read as by a person. */
import { join } from "node:path";
import { execa } from "execa";
import { type CodexHome, codexFlags, codexProgram } from "./codex.ts";

interface Place {
  readonly socket: string;
  readonly work: string;
  readonly env: NodeJS.ProcessEnv;
  readonly columns: number;
  readonly rows: number;
}

export class Terminal implements AsyncDisposable {
  readonly #socket: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(socket: string, env: NodeJS.ProcessEnv) {
    this.#socket = socket;
    this.#env = env;
  }

  static async ofCodex({ codexHome, work, env }: CodexHome): Promise<Terminal> {
    const program = [codexProgram, ...codexFlags, "-c", "model_provider=lms"];
    return await Terminal.open(program, { socket: join(codexHome, "..", "tmux"), work, env, columns: 160, rows: 50 });
  }

  static async open(program: readonly string[], { socket, work, env, columns, rows }: Place): Promise<Terminal> {
    const terminal = new Terminal(socket, { ...env, TERM: "xterm-256color" });
    const size = ["-x", String(columns), "-y", String(rows)];
    await terminal.#tmux("new-session", "-d", ...size, "-c", work, ...program);
    // Its screen can still be read after it has ended.
    await terminal.#tmux("set-option", "-g", "remain-on-exit", "on");
    return terminal;
  }

  async screen(): Promise<string> {
    return await this.#tmux("capture-pane", "-p", "-J", "-S", "-200");
  }

  /** Resolves with the screen once it shows what is waited for. */
  async until(what: string, shows: (screen: string) => boolean | Promise<boolean>, seconds: number): Promise<string> {
    const deadline = performance.now() + seconds * 1_000;
    for (;;) {
      const screen = await this.screen();
      if (await shows(screen)) return screen;
      if (performance.now() > deadline)
        throw new Error(`not within ${seconds} s: ${what}; the screen shows\n${screen.trim().slice(-1_500)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Text and Enter go apart: what comes in one go is taken for a paste, and an Enter in it for a line's end. */
  async enter(text: string): Promise<void> {
    await this.#tmux("send-keys", "-l", text);
    await this.until(`"${text}" typed`, (screen) => screen.includes(text), 10);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await this.press("Enter");
  }

  async press(key: string): Promise<void> {
    await this.#tmux("send-keys", key);
  }

  async #tmux(...args: string[]): Promise<string> {
    const { stdout } = await execa("tmux", ["-S", this.#socket, "-f", "/dev/null", ...args], { env: this.#env });
    return stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux("kill-server").catch(() => {});
  }
}
