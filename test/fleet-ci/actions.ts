/**
 * GitHub Actions, as far as our workflows need it: jobs in the order of their needs, matrices, called workflows, composite actions, outputs, artifacts. Every
 * `run` is run as written, by bash, in a fresh clone of the repository. Actions of others are stood in for by what they leave behind.
 */
import { cp, glob, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { parse } from "yaml";
import { z } from "zod";
import { type Contexts, filled, isTrue } from "./expression.ts";

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const step = z.strictObject({
  id: z.string().optional(),
  name: z.string().optional(),
  if: z.string().optional(),
  uses: z.string().optional(),
  with: z.record(z.string(), scalar).default({}),
  run: z.string().optional(),
  shell: z.string().optional(),
  env: z.record(z.string(), scalar).default({}),
});
type Step = z.output<typeof step>;
const job = z.looseObject({
  needs: z.union([z.string(), z.array(z.string())]).default([]),
  if: z.string().optional(),
  uses: z.string().optional(),
  with: z.record(z.string(), scalar).default({}),
  outputs: z.record(z.string(), z.string()).default({}),
  env: z.record(z.string(), scalar).default({}),
  strategy: z.looseObject({ matrix: z.record(z.string(), z.string()) }).optional(),
  steps: z.array(step).default([]),
});
type Job = z.output<typeof job>;
const workflow = z.looseObject({ env: z.record(z.string(), scalar).default({}), jobs: z.record(z.string(), job) });
const action = z.looseObject({
  inputs: z.record(z.string(), z.looseObject({ default: scalar.optional() })).default({}),
  runs: z.looseObject({ steps: z.array(step) }),
});

export interface Ran {
  /** `WORKFLOW/JOB`, and what matrix it was one of. */
  readonly job: string;
  readonly result: "success" | "failure" | "skipped";
  /** What its steps printed, and what they put into its summary. */
  readonly log: string;
}

export interface Event {
  readonly name: "pull_request" | "push" | "schedule" | "workflow_dispatch";
  /** What is checked out. */
  readonly sha: string;
  readonly ref: string;
  readonly payload?: object;
}

export interface Place {
  /** A repository that can be cloned. */
  readonly origin: string;
  readonly scratch: string;
  readonly env: Readonly<Record<string, string>>;
  readonly vars: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
  /** A clone whose packages and caches jobs may use. */
  readonly packages: string;
}

/** What actions of others do that matters here: nothing, because this machine has it. */
const elsewhere = /^(actions\/setup-node|pulumi\/actions|aws-actions\/\S+|azure\/login|google-github-actions\/auth)@/;

export class Actions {
  readonly #place: Place;
  readonly ran: Ran[] = [];

  constructor(place: Place) {
    this.#place = place;
  }

  /** @returns the jobs, as they ended */
  async run(file: string, event: Event): Promise<readonly Ran[]> {
    const run = new Run(this.#place, event, await mkdtemp(join(this.#place.scratch, "run-")));
    try {
      await run.workflow(file, {}, await workflowAt(this.#place.origin, event.sha, file));
    } finally {
      this.ran.push(...run.ran);
    }
    return run.ran;
  }

  /** The text of every file that jobs have put into artifacts, by its path. */
  async artifacts(): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    const files = glob("run-*/artifacts/**", { cwd: this.#place.scratch, withFileTypes: true });
    for await (const entry of files) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile()) found.set(path, await readFile(path, "utf8"));
    }
    return found;
  }
}

async function workflowAt(origin: string, sha: string, file: string): Promise<z.output<typeof workflow>> {
  const { stdout } = await execa("git", ["show", `${sha}:.github/workflows/${file}`], { cwd: origin });
  return workflow.parse(parse(stdout));
}

class Run {
  readonly ran: Ran[] = [];
  readonly #place: Place;
  readonly #event: Event;
  readonly #folder: string;

  constructor(place: Place, event: Event, folder: string) {
    this.#place = place;
    this.#event = event;
    this.#folder = folder;
  }

  async workflow(name: string, inputs: Contexts, { env, jobs }: z.output<typeof workflow>): Promise<boolean> {
    const needs: Record<string, { result: Ran["result"]; outputs: Contexts }> = {};
    for (const [id, one] of Object.entries(jobs)) {
      const contexts = { ...this.#contexts(inputs), needs };
      const own = `${name}/${id}`;
      const before = [one.needs].flat().map((need) => needs[need]?.result);
      const always = one.if?.includes("always()") ?? false;
      const runs = (always || before.every((result) => result === "success")) && isTrue(one.if ?? "true", contexts);
      if (!runs) {
        needs[id] = { result: "skipped", outputs: {} };
        this.ran.push({ job: own, result: "skipped", log: "" });
      } else if (one.uses !== undefined) {
        const called = one.uses.replace("./.github/workflows/", "");
        const given = Object.fromEntries(
          Object.entries(one.with).map(([key, value]) => [key, filled(value, contexts)]),
        );
        const well = await this.workflow(called, given, await workflowAt(this.#place.origin, this.#event.sha, called));
        needs[id] = { result: well ? "success" : "failure", outputs: {} };
      } else needs[id] = await this.#job(own, one, env, contexts);
    }
    return Object.values(needs).every(({ result }) => result !== "failure");
  }

  #contexts(inputs: Contexts): Contexts {
    const { name, ref, sha, payload = {} } = this.#event;
    const github = {
      ...{ event_name: name, ref, sha, event: payload, repository: this.#place.env.GITHUB_REPOSITORY },
      ...{ token: this.#place.secrets.GITHUB_TOKEN },
    };
    return { github, inputs, vars: this.#place.vars, secrets: this.#place.secrets };
  }

  /** The lowest that nobody uses: programs that were compiled there once are known by their path. */
  async #machine(): Promise<string> {
    for (let number = 1; ; number += 1) {
      const folder = join(this.#place.scratch, `machine-${number}`);
      const made = await mkdir(folder).then(
        () => true,
        (error: NodeJS.ErrnoException) => error.code !== "EEXIST",
      );
      if (made) return folder;
    }
  }

  async #job(
    name: string,
    one: Job,
    env: Job["env"],
    contexts: Contexts,
  ): Promise<{ result: Ran["result"]; outputs: Contexts }> {
    const [[key, list] = []] = Object.entries(one.strategy?.matrix ?? {});
    const values = list === undefined ? [undefined] : (filled(list, contexts) as unknown[]);
    // One after the other, on machines of their own.
    const ends = [];
    for (const [index, value] of values.entries()) {
      const matrix = key === undefined ? {} : { [key]: value };
      const title = key === undefined ? name : `${name} (${String(value)})`;
      const machine = new Machine(this.#place, this.#event, join(this.#folder, "artifacts"), await this.#machine());
      const end = await machine.run(one, env, { ...contexts, matrix, strategy: { "job-index": index } });
      this.ran.push({ job: title, result: end.result, log: machine.log });
      ends.push(end);
    }
    return {
      result: ends.every(({ result }) => result === "success") ? "success" : "failure",
      outputs: ends.at(-1)?.outputs ?? {},
    };
  }
}

/** One runner with one job. */
class Machine {
  log = "";
  readonly #place: Place;
  readonly #event: Event;
  readonly #artifacts: string;
  readonly #folder: string;
  readonly #workspace: string;
  /** What steps have left for the ones after them. */
  readonly #left: Record<string, string> = {};
  #path: string;

  constructor(place: Place, event: Event, artifacts: string, folder: string) {
    this.#place = place;
    this.#event = event;
    this.#artifacts = artifacts;
    this.#folder = folder;
    this.#workspace = join(folder, "checkout");
    this.#path = place.env.PATH ?? "";
  }

  async run(
    { steps, outputs, env: own }: Job,
    env: Job["env"],
    contexts: Contexts,
  ): Promise<{ result: Ran["result"]; outputs: Contexts }> {
    await mkdir(join(this.#folder, "temp"), { recursive: true });
    await mkdir(this.#workspace);
    const variables = texts({ ...env, ...own }, contexts);
    const done: Record<string, { outputs: Contexts }> = {};
    let failed = false;
    for (const one of steps) {
      const here = { ...contexts, steps: done, env: { ...variables, ...this.#left } };
      const always = one.if?.includes("always()") ?? false;
      if ((failed && !always) || !isTrue(one.if ?? "true", here)) continue;
      const end = await this.#step(one, variables, here);
      failed ||= !end.ok;
      if (one.id !== undefined) done[one.id] = { outputs: end.outputs };
    }
    await rm(this.#folder, { recursive: true, force: true });
    return { result: failed ? "failure" : "success", outputs: texts(outputs, { ...contexts, steps: done }) };
  }

  async #step(
    one: Step,
    variables: Readonly<Record<string, string>>,
    contexts: Contexts,
  ): Promise<{ ok: boolean; outputs: Contexts }> {
    const given = texts(one.with, contexts);
    if (one.run !== undefined) return await this.#bash(one.run, { ...variables, ...texts(one.env, contexts) });
    const uses = one.uses ?? "";
    if (uses.startsWith("actions/checkout@")) await this.#checkout(given["fetch-depth"] === "0");
    else if (uses.startsWith("actions/upload-artifact@")) await this.#upload(given);
    else if (uses.startsWith("actions/download-artifact@")) await this.#download(given);
    else if (uses.startsWith("./")) return await this.#composite(uses, given, variables, contexts);
    else if (!elsewhere.test(uses)) throw new Error(`no workflow of ours has used ${uses} before`);
    return { ok: true, outputs: {} };
  }

  async #composite(
    uses: string,
    given: Contexts,
    variables: Readonly<Record<string, string>>,
    contexts: Contexts,
  ): Promise<{ ok: boolean; outputs: Contexts }> {
    const { inputs, runs } = action.parse(parse(await readFile(join(this.#workspace, uses, "action.yml"), "utf8")));
    const defaults = Object.fromEntries(Object.entries(inputs).map(([key, { default: value }]) => [key, value ?? ""]));
    for (const one of runs.steps) {
      const here = { ...contexts, inputs: { ...defaults, ...given } };
      if (!isTrue(one.if ?? "true", here)) continue;
      const end = await this.#step(one, variables, here);
      if (!end.ok) return end;
    }
    return { ok: true, outputs: {} };
  }

  async #checkout(whole: boolean): Promise<void> {
    const { origin, packages } = this.#place;
    const git = (...words: string[]) => execa("git", words, { cwd: this.#workspace });
    await git("init", "-q");
    await git("remote", "add", "origin", `file://${origin}`);
    // A merge is looked at against its first parent, so one commit would not do where the whole history is not asked for.
    await git("fetch", "-q", ...(whole ? [] : ["--depth=1"]), "origin", this.#event.sha, ...(whole ? ["main"] : []));
    await git("checkout", "-q", "--detach", this.#event.sha);
    await symlink(join(packages, "node_modules"), join(this.#workspace, "node_modules"));
    // What is made once for all checkouts of the same sources, as on a runner of one's own.
    await mkdir(join(this.#workspace, ".lmstack"));
    await symlink(join(packages, ".lmstack", "cache"), join(this.#workspace, ".lmstack", "cache"));
  }

  async #upload({ name, path }: Readonly<Record<string, string>>): Promise<void> {
    await cp(join(this.#workspace, path as string), join(this.#artifacts, name as string), { recursive: true }).catch(
      () => {},
    );
  }

  async #download({ pattern = "", path }: Readonly<Record<string, string>>): Promise<void> {
    const { stdout } = await execa("find", [this.#artifacts, "-mindepth", "1", "-maxdepth", "1", "-name", pattern]);
    for (const folder of stdout.split("\n").filter(Boolean))
      await cp(folder, join(this.#workspace, path as string), { recursive: true });
  }

  async #bash(
    script: string,
    variables: Readonly<Record<string, string>>,
  ): Promise<{ ok: boolean; outputs: Contexts }> {
    const files = { GITHUB_OUTPUT: "output", GITHUB_ENV: "env", GITHUB_PATH: "path", GITHUB_STEP_SUMMARY: "summary" };
    const paths = Object.fromEntries(Object.entries(files).map(([key, name]) => [key, join(this.#folder, name)]));
    for (const path of Object.values(paths)) await writeFile(path, "");
    const { exitCode, all } = await execa("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", script], {
      cwd: this.#workspace,
      env: {
        ...this.#place.env,
        ...{ CI: "true", GITHUB_ACTIONS: "true", GITHUB_WORKSPACE: this.#workspace },
        ...{ GITHUB_REF: this.#event.ref, GITHUB_REF_NAME: this.#event.ref.replace(/^refs\/(heads|pull)\//, "") },
        ...{ GITHUB_SHA: this.#event.sha, GITHUB_EVENT_NAME: this.#event.name },
        ...{ RUNNER_TEMP: join(this.#folder, "temp"), RUNNER_ENVIRONMENT: "self-hosted" },
        ...this.#left,
        ...variables,
        ...paths,
        PATH: this.#path,
      },
      extendEnv: false,
      all: true,
      reject: false,
    });
    this.log += `${all}${await readFile(paths.GITHUB_STEP_SUMMARY as string, "utf8")}`;
    const left = async (key: keyof typeof files) =>
      (await readFile(paths[key] as string, "utf8")).split("\n").filter(Boolean);
    for (const line of await left("GITHUB_ENV")) this.#left[before(line)] = after(line);
    for (const folder of await left("GITHUB_PATH")) this.#path = `${folder}:${this.#path}`;
    const outputs = Object.fromEntries((await left("GITHUB_OUTPUT")).map((line) => [before(line), after(line)]));
    return { ok: exitCode === 0, outputs };
  }
}

const before = (line: string): string => line.slice(0, line.indexOf("="));
const after = (line: string): string => line.slice(line.indexOf("=") + 1);

const texts = (values: Readonly<Record<string, unknown>>, contexts: Contexts): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, String(filled(value, contexts) ?? "")]));
