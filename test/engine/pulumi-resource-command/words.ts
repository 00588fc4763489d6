// The official plugin's way of putting a failed command into words, down to its quoting: tests of what users see when
// something goes wrong must hold with either plugin.

import { constants } from "node:os";

const NAMED: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  '"': '\\"',
  "\\": "\\\\",
};

function escapeCharacter(character: string): string {
  const named = NAMED[character];
  if (named !== undefined) return named;
  const point = character.codePointAt(0) ?? 0;
  if (point < 0x80) return `\\x${point.toString(16).padStart(2, "0")}`;
  if (point > 0xffff) return `\\U${point.toString(16).padStart(8, "0")}`;
  return `\\u${point.toString(16).padStart(4, "0")}`;
}

/** A double-quoted string; printable characters of any script stay as they are. */
export function quoted(text: string): string {
  return `"${text.replace(/["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, escapeCharacter)}"`;
}

const SIGNAL_WORDS: Readonly<Record<string, string>> = {
  SIGHUP: "hangup",
  SIGINT: "interrupt",
  SIGQUIT: "quit",
  SIGABRT: "aborted",
  SIGKILL: "killed",
  SIGSEGV: "segmentation fault",
  SIGPIPE: "broken pipe",
  SIGALRM: "alarm clock",
  SIGTERM: "terminated",
};

export function exitWords(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal === null) return `exit status ${code}`;
  return `signal: ${SIGNAL_WORDS[signal] ?? `signal ${constants.signals[signal]}`}`;
}

/** Why a process could not be started: its folder is missing, or its program is. */
export function startWords(
  program: string,
  error: NodeJS.ErrnoException,
  missingDirectory: string | undefined,
): string {
  const reason = error.code === "EACCES" ? "permission denied" : "no such file or directory";
  if (missingDirectory !== undefined) return `chdir ${missingDirectory}: no such file or directory`;
  if (program.includes("/")) return `fork/exec ${program}: ${reason}`;
  return `exec: ${quoted(program)}: executable file not found in $PATH`;
}

export function failureText(reason: string, command: string, output: string): string {
  return `${reason}: running ${quoted(command)}:\n${output}`;
}
