/** The `lmstack` command: what was typed, carried out, and every failure as words and an exit status. */
import { CommanderError } from "commander";
import { Faults } from "../spec/faults.ts";
import { CliFault, exitCodes } from "./fault.ts";
import { program } from "./verbs.ts";

process.exitCode = await program.parseAsync().then(
  () => process.exitCode ?? exitCodes.done,
  (error: unknown) => {
    // Commander has said what it had to say; asked for help, it has done what it was asked.
    const said = error instanceof CommanderError;
    if (said && error.exitCode === 0) return exitCodes.done;
    if (!(said || error instanceof Faults || error instanceof CliFault)) throw error;
    if (!said) console.error(error.message);
    // Whoever reads JSON finds out what went wrong there, too.
    if (process.argv.includes("--json")) console.log(JSON.stringify({ ok: false, problem: error.message }));
    if (said) return exitCodes.usage;
    return error instanceof CliFault ? error.exitCode : exitCodes.failed;
  },
);
