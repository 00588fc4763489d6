/** A team: its repository, GitHub with the jobs that run there, and whoever works on it. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formsFoundIn, formsOf } from "../e2e/planted-secret.ts";
import { projectRoot } from "../pulumi/stack.ts";
import { Actions, type Ran } from "./actions.ts";
import { StandInGitHub } from "./github.ts";
import { TeamRepository } from "./repository.ts";

export interface TeamOptions {
  /** Of this machine: what jobs know but is not the team's secret. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Address of the state. */
  readonly backend: string;
  readonly passphrase: string;
  readonly sshKey: string;
}

/** A job gets these from its workflow or not at all. */
const given = [
  "GITHUB_TOKEN",
  "LMSTACK_NODE",
  "LMSTACK_SSH_IDENTITY",
  "PULUMI_BACKEND_URL",
  "PULUMI_CONFIG_PASSPHRASE",
  "PULUMI_CONFIG_PASSPHRASE_FILE",
];
const pull = 7;

export class Team implements AsyncDisposable {
  readonly repository: TeamRepository;
  readonly github: StandInGitHub;
  /** Of whoever works in the repository's folder. */
  readonly env: Readonly<Record<string, string>>;
  readonly #folder: string;
  readonly #actions: Actions;

  private constructor(
    folder: string,
    repository: TeamRepository,
    github: StandInGitHub,
    env: Readonly<Record<string, string>>,
    actions: Actions,
  ) {
    this.#folder = folder;
    this.repository = repository;
    this.github = github;
    this.env = env;
    this.#actions = actions;
  }

  static async open({ env, backend, passphrase, sshKey }: TeamOptions): Promise<Team> {
    const folder = await mkdtemp(join(tmpdir(), "lmstack-team-"));
    await mkdir(join(folder, "bin"));
    // The clone's packages are there already.
    await writeFile(join(folder, "bin", "npm"), "#!/bin/sh\n", { mode: 0o755 });
    const repository = await TeamRepository.make(join(folder, "team"));
    const github = await StandInGitHub.start();
    const known = Object.entries({ ...env, ...github.env }).flatMap(([name, value]) =>
      value === undefined || given.includes(name) ? [] : [[name, value] as const],
    );
    const machine = Object.fromEntries(known);
    const secrets = { PULUMI_BACKEND_URL: backend, PULUMI_CONFIG_PASSPHRASE: passphrase };
    const actions = new Actions({
      origin: repository.folder,
      scratch: folder,
      env: { ...machine, PATH: `${join(folder, "bin")}:${machine.PATH}` },
      vars: { LMSTACK_FLEET: "fleet.yaml" },
      secrets: { ...secrets, LMSTACK_SSH_KEY: sshKey, GITHUB_TOKEN: github.token },
      packages: projectRoot,
    });
    return new Team(folder, repository, github, { ...machine, LMSTACK_NODE: process.execPath, ...secrets }, actions);
  }

  merged(sha: string): Promise<readonly Ran[]> {
    return this.#actions.run("fleet-deploy.yml", { name: "push", sha, ref: "refs/heads/main" });
  }

  dispatched(sha: string): Promise<readonly Ran[]> {
    return this.#actions.run("fleet-rollout.yml", { name: "workflow_dispatch", sha, ref: "refs/heads/main" });
  }

  pulled(sha: string): Promise<readonly Ran[]> {
    return this.#actions.run("fleet-preview.yml", {
      ...{ name: "pull_request", sha, ref: `refs/pull/${pull}/merge` },
      payload: { pull_request: { number: pull, head: { repo: { full_name: this.github.repository } } } },
    });
  }

  night(sha: string): Promise<readonly Ran[]> {
    return this.#actions.run("fleet-drift.yml", { name: "schedule", sha, ref: "refs/heads/main" });
  }

  /** Below the one pull request. */
  get comments() {
    return this.github.comments.get(pull) ?? [];
  }

  /** What everybody on GitHub can read, by where: what was committed, logs and summaries of jobs, their artifacts, comments, issues, pull requests. */
  async published(): Promise<ReadonlyMap<string, string>> {
    const { comments, issues, pulls } = this.github;
    return new Map([
      ...(await this.#actions.artifacts()),
      ...this.#actions.ran.map(({ job, log }, index): [string, string] => [
        `log and summary ${index + 1}, ${job}`,
        log,
      ]),
      ["the repository", await this.repository.git("log", "-p", "--all", "--", "fleet.yaml", "Pulumi.*.yaml")],
      ["what GitHub was told", JSON.stringify([...comments.values(), issues, pulls])],
    ]);
  }

  /** @param secrets beside those that jobs have from GitHub itself. @returns where any form of any of them can be read */
  async leaks(secrets: readonly string[]): Promise<string[]> {
    const forms = [...secrets, this.github.token].map(formsOf);
    const texts = [...(await this.published())];
    return texts.flatMap(([where, text]) => (forms.some((all) => formsFoundIn(text, all).length > 0) ? [where] : []));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.github[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

export const ends = (ran: readonly Ran[]): string[] => ran.map(({ job, result }) => `${job}: ${result}`);
export const logOf = (ran: readonly Ran[]): string => ran.map(({ job, log }) => `== ${job}\n${log}`).join("\n");

/** Hosts that a job has begun to change, as its log tells. */
export const updatedIn = (ran: readonly Ran[], hosts: readonly string[]): string[] =>
  hosts.filter((host) => logOf(ran).includes(`${host}: updating`));
