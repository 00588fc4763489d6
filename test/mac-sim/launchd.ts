/**
 * launchd as launchctl(1) and launchd.plist(5) describe it, with what bites: `bootout` returns before the job has ended, `bootstrap` of a loaded job
 * fails with 5 or 37, `print` shows states and pids of other things in inner blocks. Jobs are real processes.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { parse } from "plist";
import { z } from "zod";
import { failed, printed, type Reply } from "./reply.ts";

const jobSchema = z.object({
  Label: z.string(),
  UserName: z.string().optional(),
  ProgramArguments: z.array(z.string()).min(1),
  EnvironmentVariables: z.record(z.string(), z.string()).default({}),
  WorkingDirectory: z.string().optional(),
  KeepAlive: z.boolean().default(false),
  RunAtLoad: z.boolean().default(false),
  ThrottleInterval: z.number().default(10),
  ExitTimeOut: z.number().default(20),
  StandardOutPath: z.string().optional(),
  StandardErrorPath: z.string().optional(),
});

type Definition = z.output<typeof jobSchema>;

interface Job {
  readonly definition: Definition;
  readonly file: string;
  child: ChildProcess | null;
  startedAt: number;
  again: NodeJS.Timeout | undefined;
  leaving: boolean;
}

export interface LaunchdOptions {
  /** Users with a session at the screen. */
  readonly loggedIn: readonly number[];
  /** How long launchd still has a job whose process has ended. */
  readonly lingerMs?: number;
}

export class Launchd implements AsyncDisposable {
  /** What launchctl was asked, in order. */
  readonly calls: string[] = [];
  readonly #options: LaunchdOptions;
  readonly #jobs = new Map<string, Job>();
  readonly #disabled = new Set<string>();

  constructor(options: LaunchdOptions) {
    this.#options = options;
  }

  /** Of the job's process; null when it does not run. */
  pidOf(target: string): number | null {
    return this.#jobs.get(target)?.child?.pid ?? null;
  }

  get loaded(): readonly string[] {
    return [...this.#jobs.keys()];
  }

  /** Everything that was enabled starts again from the files in these folders, as after a boot. */
  async reboot(files: Readonly<Record<string, readonly string[]>>): Promise<void> {
    await this.#endAll();
    for (const [domain, paths] of Object.entries(files))
      for (const path of paths) this.answer(["bootstrap", domain, path]);
  }

  answer(words: readonly string[]): Reply {
    this.calls.push(words.join(" "));
    const [verb = "", where = "", file = ""] = words;
    if (verb === "bootstrap") return this.#bootstrap(where, file);
    if (verb === "bootout") return this.#bootout(where);
    if (verb === "print") return this.#print(where);
    if (verb === "print-disabled") return this.#printDisabled(where);
    if (verb === "enable" || verb === "disable") {
      this.#disabled[verb === "enable" ? "delete" : "add"](where);
      return printed("");
    }
    return failed(64, `Unrecognized subcommand: ${verb}`);
  }

  #bootstrap(domain: string, file: string): Reply {
    const refused = (code: number, words: string) => failed(code, `Bootstrap failed: ${code}: ${words}`);
    if (!this.#hasDomain(domain)) return refused(125, "Domain does not support specified action");
    const definition = readDefinition(file);
    if (definition === null) return refused(5, "Input/output error");
    const target = `${domain}/${definition.Label}`;
    const before = this.#jobs.get(target);
    if (before?.leaving) return refused(37, "Operation already in progress");
    if (before !== undefined) return refused(5, "Input/output error");
    if (this.#disabled.has(target)) return refused(119, "Service is disabled");
    const job: Job = { definition, file, child: null, startedAt: 0, again: undefined, leaving: false };
    this.#jobs.set(target, job);
    if (definition.RunAtLoad || definition.KeepAlive) this.#spawn(target, job);
    return printed("");
  }

  #bootout(target: string): Reply {
    const job = this.#jobs.get(target);
    if (job === undefined) return failed(3, "Boot-out failed: 3: No such process");
    if (job.leaving) return failed(36, "Boot-out failed: 36: Operation now in progress");
    job.leaving = true;
    clearTimeout(job.again);
    const { child } = job;
    if (child === null) {
      this.#jobs.delete(target);
      return printed("");
    }
    const kill = setTimeout(() => child.kill("SIGKILL"), job.definition.ExitTimeOut * 1000);
    child.once("exit", () => {
      clearTimeout(kill);
      setTimeout(() => this.#jobs.delete(target), this.#options.lingerMs ?? 0);
    });
    child.kill("SIGTERM");
    return failed(36, "Boot-out failed: 36: Operation now in progress");
  }

  #print(target: string): Reply {
    const job = this.#jobs.get(target);
    const label = target.split("/").at(-1);
    if (job === undefined)
      return failed(113, `Bad request.\nCould not find service "${label}" in domain for ${target.split("/")[0]}`);
    const { child, again, definition } = job;
    const state = child !== null ? "running" : again !== undefined ? "spawn scheduled" : "not running";
    const lines = [
      `${target} = {`,
      `\tactive count = ${child === null ? 0 : 1}`,
      `\tpath = ${job.file}`,
      "\tendpoints = {",
      "\t\tstate = running",
      "\t\tpid = 1",
      "\t}",
      `\tstate = ${state}`,
      `\tprogram = ${definition.ProgramArguments[0]}`,
      ...(child === null ? [] : [`\tpid = ${child.pid}`]),
      "\tspawn type = interactive (4)",
      "\tjetsam coalition = {",
      "\t\tstate = not running",
      "\t}",
      "}",
    ];
    return printed(lines.join("\n"));
  }

  #printDisabled(domain: string): Reply {
    const lines = [...this.#disabled]
      .filter((target) => target.startsWith(`${domain}/`))
      .map((target) => `\t\t"${target.slice(domain.length + 1)}" => disabled`);
    return printed(["\tdisabled services = {", `\t\t"com.apple.ftpd" => disabled`, ...lines, "\t}"].join("\n"));
  }

  #hasDomain(domain: string): boolean {
    return domain === "system" || this.#options.loggedIn.some((uid) => domain === `gui/${uid}`);
  }

  #spawn(target: string, job: Job): void {
    const { definition } = job;
    const [program = "", ...args] = definition.ProgramArguments;
    job.startedAt = Date.now();
    const out = openSync(definition.StandardOutPath ?? "/dev/null", "a");
    const child = spawn(program, args, {
      // Nothing of whoever loaded it.
      env: definition.EnvironmentVariables,
      cwd: definition.WorkingDirectory ?? "/",
      stdio: ["ignore", out, out],
      detached: true,
      ...accountOf(definition.UserName),
    });
    closeSync(out);
    job.child = child;
    const ended = () => {
      if (job.child !== child) return;
      job.child = null;
      if (job.leaving || !definition.KeepAlive) return;
      const wait = Math.max(0, job.startedAt + definition.ThrottleInterval * 1000 - Date.now());
      job.again = setTimeout(() => {
        job.again = undefined;
        this.#spawn(target, job);
      }, wait);
    };
    child.once("exit", ended).once("error", ended);
  }

  async #endAll(): Promise<void> {
    const gone = [...this.#jobs.values()].map(async (job) => {
      job.leaving = true;
      clearTimeout(job.again);
      if (job.child === null) return;
      const exit = once(job.child, "exit");
      job.child.kill("SIGKILL");
      await exit;
    });
    await Promise.all(gone);
    this.#jobs.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#endAll();
  }
}

/** None where this is no host of its own, which has other users than this Mac. */
function accountOf(user = ""): { readonly uid?: number; readonly gid?: number } {
  const lines = readFileSync("/etc/passwd", "utf8").split("\n");
  const [, , uid, gid] = lines.find((line) => line.startsWith(`${user}:`))?.split(":") ?? [];
  return uid === undefined || process.getuid?.() !== 0 ? {} : { uid: Number(uid), gid: Number(gid) };
}

/** launchd takes no file that others may write, and none that is no property list of a job. */
function readDefinition(file: string): Definition | null {
  try {
    if ((statSync(file).mode & 0o022) !== 0) return null;
    return jobSchema.parse(parse(readFileSync(file, "utf8")));
  } catch {
    return null;
  }
}
