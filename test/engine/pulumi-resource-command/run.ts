// Runs one command and captures what it prints.

import { isUtf8 } from "node:buffer";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { CommandInputs } from "./inputs.ts";
import { LogLines } from "./log-lines.ts";
import type { Streams } from "./outputs.ts";
import { exitWords, failureText, startWords } from "./words.ts";

const NOT_TEXT = "grpc: error while marshaling: string field contains invalid UTF-8";

export interface RunOptions {
  readonly command: string;
  readonly inputs: CommandInputs;
  /** Output of the run before this one: handed to the command unless `addPreviousOutputInEnv` is false. */
  readonly previous: Streams;
  readonly log: (line: string) => void;
  /** Kills the command's own process, and it alone: what that process started goes on. */
  readonly signal: AbortSignal;
}

function loggedStreams(logging: string | undefined): { stdout: boolean; stderr: boolean } {
  const both = logging === undefined || logging === "stdoutAndStderr";
  return { stdout: both || logging === "stdout", stderr: both || logging === "stderr" };
}

function environment(inputs: CommandInputs, previous: Streams): NodeJS.ProcessEnv {
  const handed = inputs.addPreviousOutputInEnv ?? true;
  return {
    ...process.env,
    ...inputs.environment,
    ...(handed && previous.stdout !== "" ? { PULUMI_COMMAND_STDOUT: previous.stdout } : {}),
    ...(handed && previous.stderr !== "" ? { PULUMI_COMMAND_STDERR: previous.stderr } : {}),
  };
}

function withoutLastNewline(chunks: readonly Buffer[]): string {
  const text = Buffer.concat(chunks).toString("utf8");
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}

/** @throws with the reason, the command and everything it printed, as the official plugin does. */
export function runCommand({ command, inputs, previous, log, signal }: RunOptions): Promise<Streams> {
  const [program = "/bin/sh", ...rest] = inputs.interpreter?.length ? inputs.interpreter : ["/bin/sh", "-c"];
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const printed: Buffer[] = [];
  const fail = (reason: string): Error =>
    new Error(failureText(reason, command, Buffer.concat(printed).toString("utf8")));
  if (signal.aborted) return Promise.reject(fail("context canceled"));

  return new Promise((resolve, reject) => {
    const child = spawn(program, [...rest, command], {
      cwd: inputs.dir,
      env: environment(inputs, previous),
      stdio: [inputs.stdin ? "pipe" : "ignore", "pipe", "pipe"],
    });
    const kill = (): void => void child.kill("SIGKILL");
    signal.addEventListener("abort", kill, { once: true });
    let unloggable: Error | undefined;
    const lines = new LogLines(log);
    const logged = loggedStreams(inputs.logging);
    const capture = (chunks: Buffer[], isLogged: boolean) => (chunk: Buffer) => {
      chunks.push(chunk);
      printed.push(chunk);
      if (!isLogged || unloggable !== undefined) return;
      try {
        lines.push(chunk);
      } catch (error) {
        unloggable = error as Error;
        kill();
      }
    };
    child.stdout?.on("data", capture(stdout, logged.stdout));
    child.stderr?.on("data", capture(stderr, logged.stderr));
    // A command need not read what it is given: a closed pipe is no fault of it.
    child.stdin?.on("error", () => {});
    child.stdin?.end(inputs.stdin);

    child.once("error", (error: NodeJS.ErrnoException) => {
      signal.removeEventListener("abort", kill);
      const missing = inputs.dir !== undefined && !existsSync(inputs.dir) ? inputs.dir : undefined;
      reject(fail(startWords(program, error, missing)));
    });
    // "close", not "exit": whoever still holds the streams is waited for, the command's own background children included.
    child.once("close", (code, killedBy) => {
      signal.removeEventListener("abort", kill);
      if (unloggable !== undefined) return reject(new Error(failureText(unloggable.message, command, "")));
      lines.end();
      if (code !== 0) return reject(fail(exitWords(code, killedBy)));
      // Protocol buffers carry text only: the command has done its work, and yet the step fails.
      if (![stdout, stderr].every((chunks) => isUtf8(Buffer.concat(chunks)))) return reject(new Error(NOT_TEXT));
      resolve({ stdout: withoutLastNewline(stdout), stderr: withoutLastNewline(stderr) });
    });
  });
}
