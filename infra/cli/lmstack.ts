/** The `lmstack` command: one file a verb, loaded only when it is called. */
import { Command } from "commander";
import { Faults } from "../spec/faults.ts";
import type { CodexOptions } from "./codex.ts";
import { CliFault } from "./fault.ts";

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

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof Faults || error instanceof CliFault)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
