/** People who work with the real Codex CLI, each in a home of its own: a thread, resumed turn by turn, and then another one. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { endingOf } from "../codex-runs/codex.ts";
import { projectRoot } from "../pulumi/stack.ts";
import { type CodexTurn, codexLog, readTurn } from "./codex-turn.ts";

/** After these a person begins anew. */
const turnsOfThread = 6;
/** In which the answer is read. Each start of Codex costs 0.3 s of a core, which the hosts of the run are on, too. */
const pauseMs = 4_000;
/** After which a turn counts as hung, in seconds. */
const patience = 120;

/** Puts lmstack's files into a Codex home. @returns the program that starts Codex with them */
export type Install = (codexHome: string) => Promise<string>;

interface User {
  readonly program: string;
  readonly work: string;
  readonly env: NodeJS.ProcessEnv;
}

export class CodexUsers implements AsyncDisposable {
  readonly #folder: string;
  readonly #stopped = new AbortController();
  readonly #work: Promise<unknown>;
  #turns: CodexTurn[] = [];

  private constructor(folder: string, users: readonly User[]) {
    this.#folder = folder;
    this.#work = Promise.all(users.map((user, index) => this.#workWith(user, index)));
  }

  /** @param folder for their homes, which is removed with them; not in the system's folder for temporary files, of which Codex warns */
  static async open(count: number, folder: string, install: Install): Promise<CodexUsers> {
    const users: User[] = [];
    try {
      for (let index = 0; index < count; index += 1) users.push(await settle(join(folder, `home-${index}`), install));
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
    return new CodexUsers(folder, users);
  }

  /** Turns that have ended since the last call, oldest first. */
  take(): CodexTurn[] {
    const taken = this.#turns;
    this.#turns = [];
    return taken;
  }

  /** Everybody comes to the end of the turn of now. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#work;
  }

  async #workWith({ program, work, env }: User, user: number): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      let thread: string[] = [];
      for (let turn = 1; turn <= turnsOfThread && !signal.aborted; turn += 1) {
        const task = `Look at step ${turn} and say what you find.`;
        const began = Date.now();
        const ending = await endingOf(program, ["exec", ...thread, "--json", task], { work, env }, patience);
        const read = readTurn(ending);
        this.#turns.push({ ...read, user, began, ended: Date.now() });
        await delay(pauseMs, undefined, { signal }).catch(() => {});
        if (read.exitCode !== 0) break;
        thread = ["resume", read.thread];
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function settle(home: string, install: Install): Promise<User> {
  const [codexHome, work] = [join(home, ".codex"), join(home, "work")];
  await mkdir(work, { recursive: true });
  // Or else it would look for instructions in this clone.
  await execa("git", ["init", "--quiet", work]);
  const PATH = `${join(projectRoot, "node_modules", ".bin")}:${process.env.PATH}`;
  return { program: await install(codexHome), work, env: { PATH, HOME: home, RUST_LOG: codexLog } };
}
