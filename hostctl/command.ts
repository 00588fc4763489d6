import { type ChildProcessByStdio, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { Become } from "../infra/spec/host-documents.ts";
import { HostFailure } from "./failure.ts";
import type { Host } from "./host.ts";
import { pause } from "./pause.ts";

export interface Outcome {
  /** Null when the program could not be started, was killed or ran out of time. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

export interface RunOptions {
  readonly timeoutMs: number;
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The program gets `env` and its HOME only, nothing of what hostctl was started with. */
  readonly bare?: boolean;
  /** What the program started is killed with it, unless it made a session of its own. */
  readonly withChildren?: boolean;
  readonly signal?: AbortSignal;
  /** Called with the child's pid once it runs. */
  readonly onPid?: (pid: number) => void;
}

/**
 * Runs one program to its end. It settles on `exit`, not on `close`: a daemon that the program left behind may hold the pipes open for
 * ever. Bounded by `timeoutMs`; output beyond 8 MiB is dropped.
 */
export async function run(host: Host, file: string, args: readonly string[], options: RunOptions): Promise<Outcome> {
  return await new Promise((resolve) => {
    const stdin = options.input === undefined ? null : asFile(options.input);
    let child: ChildProcessByStdio<null, Readable, Readable>;
    try {
      child = spawn(file, args, {
        cwd: options.cwd ?? host.home,
        env: { ...(options.bare ? {} : process.env), HOME: host.home, LC_ALL: "C.UTF-8", ...options.env },
        detached: options.withChildren === true,
        stdio: [stdin ?? "ignore", "pipe", "pipe"],
      }) as ChildProcessByStdio<null, Readable, Readable>;
    } catch (error) {
      // Node tells of a program that is missing by an event, and throws when it is being written or there is no memory for it.
      return resolve({ code: null, stdout: "", stderr: (error as Error).message, timedOut: false });
    } finally {
      if (stdin !== null) closeSync(stdin);
    }
    const output = { stdout: "", stderr: "" };
    let timedOut = false;
    const kill = () => (options.withChildren === true ? killGroup(child.pid) : child.kill("SIGKILL"));
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, options.timeoutMs);
    options.signal?.addEventListener("abort", kill, { once: true });
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        if (output[name].length < 8_388_608) output[name] += text;
      });
    }
    const settle = (code: number | null) => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", kill);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ code, ...output, timedOut });
    };
    child.on("error", (error) => {
      output.stderr += error.message;
      settle(null);
    });
    child.on("close", settle);
    child.on("exit", (code) => setTimeout(settle, 100, code).unref());
    if (child.pid !== undefined) options.onPid?.(child.pid);
  });
}

/** A program whose file was written a moment ago may be refused with "Text file busy", by the kernel or by what it starts: tried again. */
export async function runWhenFree(
  host: Host,
  file: string,
  args: readonly string[],
  options: RunOptions,
): Promise<Outcome> {
  for (let attempt = 1; ; attempt++) {
    const outcome = await run(host, file, args, options);
    if (!/text file busy|ETXTBSY/i.test(outcome.stderr) || attempt === 6) return outcome;
    await pause(attempt * 500);
  }
}

/** The program leads a group of its own. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // gone meanwhile
  }
}

/** Node's own pipes are sockets, which nobody can open again as /dev/stdin: an unlinked file is what `install` can read. */
function asFile(input: string): number {
  const folder = mkdtempSync(join(tmpdir(), "lmstack-"));
  try {
    const file = join(folder, "stdin");
    writeFileSync(file, input, { mode: 0o600 });
    return openSync(file, "r");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One of the few root commands that the sudoers drop-in of `lmstack host prepare` allows; it must succeed. */
export async function privileged(
  host: Host,
  become: Become,
  command: readonly string[],
  options: { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<void> {
  const outcome = await asRoot(host, become, command, options);
  if (outcome.code === 0) return;
  throw new HostFailure(
    "service_failed",
    `"${command.join(" ")}" failed: ${lastLine(outcome.stderr) || `exit ${outcome.code}`}`,
    host.platform === "darwin" ? "look at ~/.lmstack/logs on the host" : "look at `systemctl status` on the host",
  );
}

/** The same, where an exit code other than 0 means something. Throws only when it may not be run at all. */
export async function asRoot(
  host: Host,
  become: Become,
  command: readonly string[],
  options: { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<Outcome> {
  const words = host.uid === 0 ? [...command] : ["sudo", "-n", ...command];
  if (host.uid !== 0 && become === "none") {
    throw new HostFailure(
      "privilege_missing",
      `${command.join(" ")} needs root, and the spec says become: none`,
      "set become: sudo",
    );
  }
  const [file = "", ...args] = words;
  const outcome = await run(host, file, args, { timeoutMs: 60_000, ...options });
  const said = lastLine(outcome.stderr);
  if (outcome.code === 0 || !/password|not allowed|not in the sudoers|ENOENT/i.test(said)) return outcome;
  throw new HostFailure(
    "privilege_missing",
    `${host.user} may not run "${command.join(" ")}" by sudo without a password: ${said}`,
    "run `npx lmstack host prepare` once for this host",
  );
}

export function lastLine(text: string): string {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return lines.at(-1) ?? "";
}
