/** The `lmstack` command: one file a verb, loaded only when it is called. */
import { Command } from "commander";
import { Faults } from "../spec/faults.ts";
import type { CodexOptions } from "./codex.ts";
import type { CheckOptions } from "./codex-check.ts";
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
    .option("--profile <name>", "name of the profile; the stack's, or the only installed one, when left out")
    .option("--codex-home <folder>", "where Codex keeps its configuration; $CODEX_HOME or ~/.codex when left out")
    .option("--json", "print JSON on standard output")
    .addHelpText("after", "\nExit status: 0 done, 1 not done; what to do next is said on standard error.");
const changing = (command: Command): Command =>
  codexOptions(command).option("--dry-run", "only show what would change").option("--yes", "do not ask");
changing(codex.command("install"))
  .description(
    "put a stack's profile, catalog, key and launcher into Codex's folder, after showing what changes; config.toml is never touched",
  )
  .option("--stack <name>", "the stack; the selected one when left out")
  .action(async (options: CodexOptions) => (await import("./codex.ts")).install(options));
changing(codex.command("uninstall"))
  .description("take out what install has put there, and give back what was there before; what you added stays")
  .action(async (options: CodexOptions) => (await import("./codex.ts")).uninstall(options));
codexOptions(codex.command("check"))
  .description("one real turn of Codex through the installed profile, and what is wrong when it fails")
  .option("--timeout <seconds>", "what the turn may take", "180")
  .action(async (options: CheckOptions) => (await import("./codex-check.ts")).check(options));

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
