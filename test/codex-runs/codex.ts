/** The real Codex CLI in a home of its own, set up with the files that a stack generates. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { projectRoot } from "../pulumi/stack.ts";

export interface CodexHome {
  readonly codexHome: string;
  readonly work: string;
  readonly env: NodeJS.ProcessEnv;
}

export interface Ending {
  /** Null when it had to be killed: it hung. */
  readonly exitCode: number | null;
  /** Its standard output: the answer. */
  readonly answer: string;
  /** Its standard error: everything that it says on the way. */
  readonly log: string;
}

export const codexProgram = join(projectRoot, "node_modules", ".bin", "codex");
export const codexFlags = ["--profile", "lms", "--dangerously-bypass-approvals-and-sandbox"] as const;

/** `codex exec`, ended by force after `seconds`. */
export const codexExec = (home: CodexHome, args: readonly string[], seconds: number): Promise<Ending> =>
  endingOf(codexProgram, ["exec", ...codexFlags, ...args], home, seconds);

/** Of Codex or of what starts it. */
export async function endingOf(
  program: string,
  args: readonly string[],
  { work, env }: Pick<CodexHome, "work" | "env">,
  seconds: number,
): Promise<Ending> {
  const child = spawn(program, args, {
    cwd: work,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own: what it has started ends with it.
    detached: true,
  });
  let answer = "";
  let log = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    answer += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  let hung = false;
  const limit = setTimeout(() => {
    hung = true;
    process.kill(-(child.pid as number), "SIGKILL");
  }, seconds * 1_000);
  const [exitCode] = (await once(child, "close")) as [number | null];
  clearTimeout(limit);
  return { exitCode: hung ? null : exitCode, answer, log };
}
