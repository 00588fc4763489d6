/** `lmstack host prepare`: brings a bare Debian or Ubuntu box to where `pulumi up` works, and shows each root command before it runs. */

import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { Command, Option } from "commander";
import { parse } from "yaml";
import type { Become } from "../spec/host-documents.ts";
import { agree } from "./ask.ts";
import { CliFault, exitCodes } from "./fault.ts";
import { bareFacts, type PrepareFacts, parseFacts, probeScript, type RootBy } from "./prepare/facts.ts";
import { type PreparePlan, planPrepare, type Step, type Wanted } from "./prepare/plan.ts";
import { quote } from "./prepare/quote.ts";
import { type Reach, type Remote, reach } from "./prepare/reach.ts";
import { renderScript } from "./prepare/script.ts";
import { grantsAll, handsOver } from "./prepare/sudoers.ts";

export interface PrepareOptions {
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
  readonly identity?: string;
  readonly proxyJump?: string;
  /** `ssh-ed25519 AAAA…`; pinned when given, else ssh's own known_hosts decides. */
  readonly hostKey?: string;
  readonly local?: boolean;
  /** Takes connection, owner and `become` from `Pulumi.<stack>.yaml`. */
  readonly stack?: string;
  /** Owner of LM Studio when that is not the SSH user. */
  readonly for?: string;
  readonly become?: Become;
  readonly models?: string;
  readonly docker?: boolean;
  readonly print?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export function prepareCommand(): Command {
  return new Command("prepare")
    .exitOverride()
    .description("bring a bare Debian or Ubuntu box to where `pulumi up` works; shows each root command first")
    .option("--stack <name>", "take connection and owner from Pulumi.<name>.yaml")
    .option("--host <address>", "the box")
    .option("--port <number>", "its SSH port", Number)
    .option("--user <name>", "SSH user")
    .option("--identity <file>", "private key for SSH")
    .option("--proxy-jump <host>", "jump host")
    .option("--host-key <line>", "the box's public key, to pin it")
    .option("--local", "prepare this machine")
    .option("--for <name>", "owner of LM Studio, when that is not the SSH user")
    .addOption(
      new Option("--become <how>", "sudo: services of the system; none: services of the user").choices([
        "sudo",
        "none",
      ]),
    )
    .option("--models <folder>", "folder for models, made when it is missing")
    .option("--no-docker", "the proxy will run without a container")
    .option("--print", "print the script for root and change nothing; without a host, the script for a bare box")
    .option("--yes", "do not ask before running")
    .option("--json", "print one JSON document on standard output, and nothing else there")
    .action(async (options: PrepareOptions) => {
      process.exitCode = await prepare(options);
    });
}

/**
 * Probes, plans, shows, asks, runs, and probes again to see what came of it.
 * @returns the exit code: 0 when everything required is there or `print` was asked for
 */
export async function prepare(
  given: PrepareOptions,
  say: (line: string) => void = console.error,
  print: (script: string) => void = (script) => process.stdout.write(script),
): Promise<number> {
  const stack = given.stack === undefined ? {} : await fromStack(given.stack);
  const options = { ...stack, ...given };
  const models = options.models ?? null;
  const target = targetOf(options);
  const wanted: Wanted = {
    // As the spec's own defaults have it.
    become: options.become ?? (target === "local" ? "none" : "sudo"),
    docker: given.docker !== false && stack.docker !== false,
  };
  const user = options.for ?? (target === "local" ? userInfo().username : (target?.user ?? options.user));
  if (user === undefined) throw new CliFault("Whom is the box prepared for? Give --user or --for, such as --user gpu");

  if (target === null) {
    if (!options.print)
      throw new CliFault("Which box? Give --host and --user, or --stack, or --local; --print alone needs none");
    print(renderScript(planPrepare(bareFacts(user, models, true, options.user), wanted).steps));
    return 0;
  }

  await using box = await reach(target);
  const look = async () => parseFacts(await box.read(probeScript(user, models)), user, models, grantsAll, handsOver);
  const facts = await look();
  const plan = planPrepare(facts, wanted);
  for (const line of described(facts, plan)) say(line);
  const end = (steps: readonly Step[], asked = false): number => {
    const ok = asked || steps.every((step) => step.alreadyDone || !step.required);
    const told = steps.map(({ id, alreadyDone, required, why }) => ({ id, done: alreadyDone, required, why }));
    if (options.json) print(`${JSON.stringify({ ok, host: box.name, steps: told })}\n`);
    return ok ? exitCodes.done : exitCodes.failed;
  };
  if (options.print) {
    if (!options.json) print(renderScript(plan.steps));
    return end(plan.steps, true);
  }
  if (plan.steps.every((step) => step.alreadyDone)) {
    say("Everything is there; nothing to do.");
    return end(plan.steps);
  }
  if (!options.yes)
    await agree(
      `Run these commands as root on ${box.name}?`,
      "Nobody is there to be asked (no terminal). Next: read the commands above and run again with --yes",
    );
  await runAsRoot(box, renderScript(plan.steps), facts.rootBy);

  const { steps } = planPrepare(await look(), wanted);
  const left = steps.filter((step) => !step.alreadyDone);
  for (const step of left) say(`still missing${step.required ? "" : " (not required)"}: ${step.id}: ${step.why}`);
  const code = end(steps);
  say(
    code === exitCodes.done
      ? `${box.name} is ready. Next: npx lmstack up`
      : `${box.name} is not ready; look at the output above and run this again`,
  );
  return code;
}

/** The plan for people: what is there, and each root command before it runs. */
export function described(facts: PrepareFacts, plan: PreparePlan): string[] {
  const lines = [`${facts.host}: ${facts.distro.name}, prepared for ${facts.user.name}`];
  for (const step of plan.steps) {
    lines.push(`  [${step.alreadyDone ? "there" : "to do"}] ${step.id}: ${step.why}`);
    if (!step.alreadyDone) lines.push(...step.command.split("\n").map((line) => `            # ${line}`));
  }
  return [...lines, ...plan.notes.map((note) => `  note: ${note}`)];
}

async function runAsRoot(box: Reach, script: string, rootBy: RootBy): Promise<void> {
  const asks = rootBy === "password" || rootBy === "su";
  if (asks && !process.stdin.isTTY) {
    throw new CliFault(
      `${box.name} asks for a password to become root, and there is no terminal to type it. Next: run in a terminal, or --print and run as root by hand`,
    );
  }
  // A file and not stdin: the terminal stays free for the password, and mktemp's 0600 keeps others from changing what root runs.
  const file = quote((await box.read('umask 077; file="$(mktemp)"; cat >"$file"; echo "$file"', script)).trim());
  const commands: Record<RootBy, string> = {
    root: `sh ${file}`,
    sudo: `sudo -n sh ${file}`,
    password: `sudo sh ${file}`,
    su: `su -c ${quote(`sh ${file}`)}`,
  };
  try {
    const code = await box.show(commands[rootBy], asks);
    if (code !== 0)
      throw new CliFault(
        `${box.name}: the script for root ended with exit ${code}; what had run stays, and running this again goes on from there`,
      );
  } finally {
    await box.read(`rm -f ${file}`);
  }
}

function targetOf(options: PrepareOptions): Remote | "local" | null {
  if (options.local) return "local";
  const { host, port = 22, user, proxyJump, hostKey } = options;
  if (host === undefined) return null;
  if (user === undefined) throw new CliFault(`Who logs in to ${host}? Give --user, such as --user gpu`);
  const identity = options.identity ?? process.env.LMSTACK_SSH_IDENTITY;
  return {
    ...{ host, port, user },
    ...(identity === undefined ? {} : { identity }),
    ...(proxyJump === undefined ? {} : { proxyJump }),
    ...(hostKey === undefined ? {} : { hostKey }),
  };
}

/** The connection of a stack's file. Read loosely: preparing comes before the rest of the file is right. */
async function fromStack(stack: string): Promise<PrepareOptions> {
  const file = `Pulumi.${stack}.yaml`;
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (cause) {
    throw new CliFault(
      `${file} cannot be read here. Next: run from the folder that holds it, or give --host and --user`,
      {
        cause,
      },
    );
  }
  const spec = parse(text)?.config?.["lmstack:host"];
  const connection = spec?.connection;
  if (connection === undefined)
    throw new CliFault(`${file} has no lmstack:host.connection; expected {host, user, hostKey} or {local: true}`);
  const owner = spec.lmstudio?.user;
  return { ...connection, ...(owner === undefined ? {} : { for: owner }), docker: spec.proxy?.runtime !== "native" };
}
