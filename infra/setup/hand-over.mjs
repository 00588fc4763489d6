// The program that set-up was for takes over: same streams, same arguments, signals passed on, its exit status ours.

import { spawn } from "node:child_process";
import { constants } from "node:os";

const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP"];

/**
 * At a terminal Ctrl-C reaches the whole process group, so the child already has its interrupt: a second one would make Pulumi
 * give up at once instead of finishing what it is doing. Without a terminal it reached only us.
 */
export function shouldForward(signal, atTerminal) {
  return signal !== "SIGINT" || !atTerminal;
}

export function exitStatus(code, signal) {
  return signal === null ? code : 128 + constants.signals[signal];
}

export function runToEnd(node, args, env) {
  const child = spawn(node, args, { env, stdio: "inherit" });
  const atTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
  for (const signal of FORWARDED) {
    process.on(signal, () => {
      if (shouldForward(signal, atTerminal)) child.kill(signal);
    });
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      process.exitCode = exitStatus(code, signal);
      resolve();
    });
  });
}
