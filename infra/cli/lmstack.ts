/** The `lmstack` command: one file a verb, loaded only when it is called. */
import { Command } from "commander";
import { Faults } from "../spec/faults.ts";
import type { CodexOptions } from "./codex.ts";
import { CliFault } from "./fault.ts";
import type { KeysOptions } from "./keys.ts";
import type { Wishes } from "./keys-plan.ts";

const program = new Command("lmstack")
  .description("an LM Studio endpoint for the Codex CLI on a GPU host")
  .showSuggestionAfterError();

const host = program.command("host").description("the host itself");
const { prepareCommand } = await import("./host-prepare.ts");
host.addCommand(prepareCommand());

program
  .command("up")
  .description("`pulumi up` with the engine that the set-up chose; everything after -- goes to pulumi")
  .argument("[arguments...]", "for pulumi")
  .allowUnknownOption()
  .action(async (args: string[]) => (await import("./up.ts")).up(args));

program
  .command("status")
  .description("what the host runs, and what drifted")
  .option("--stack <name>", "the stack; the selected one when left out")
  .action(async (options: { stack?: string }) => (await import("./status.ts")).status(options));

const codex = program.command("codex").description("the Codex CLI on this machine");
const codexOptions = (command: Command): Command =>
  command
    .option("--stack <name>", "the stack; the selected one when left out")
    .option("--codex-home <folder>", "where Codex keeps its configuration; $CODEX_HOME or ~/.codex when left out");
codexOptions(codex.command("install"))
  .description("put profile, catalog, key and launcher of a stack into Codex's folder")
  .action(async (options: CodexOptions) => (await import("./codex.ts")).install(options));
codexOptions(codex.command("check"))
  .description("compare the installed files with the stack's, and ask the endpoint")
  .action(async (options: CodexOptions) => (await import("./codex.ts")).check(options));

const keys = program.command("keys").description("who may use a stack's endpoint");
const keysOptions = (command: Command): Command =>
  command
    .option("--stack <name>", "the stack; the selected one when left out")
    .option("--json", "print JSON on standard output");
keysOptions(keys.command("add"))
  .description("make a key, store it as a secret of the stack, and print it once")
  .argument("<name>", "what the key is called in the spec, in logs and in reports")
  .option("--models <ids>", "models that it may use, separated by commas; all when left out")
  .option("--rate <number>", "requests per minute; as many as come when left out")
  .option("--expires <when>", "12h, 30d, 8w, 2027-01-31 or 2027-01-31T12:00:00Z; never when left out")
  .option("--admin", "may also hold and resume models and read reports")
  .action(async (name: string, options: KeysOptions & Wishes) => (await import("./keys.ts")).add(name, options));
keysOptions(keys.command("list"))
  .description("keys of a stack with what they allow; never their values")
  .action(async (options: KeysOptions) => (await import("./keys.ts")).list(options));
keysOptions(keys.command("revoke"))
  .description("take a key away from the stack; the next `pulumi up` makes it true on the host")
  .argument("<name>", "as `lmstack keys list` has it")
  .action(async (name: string, options: KeysOptions) => (await import("./keys.ts")).revoke(name, options));

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof Faults || error instanceof CliFault)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
