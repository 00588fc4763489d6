/** `npm run bench`: the proxy beside its peers on this machine. `--help` says how. */
import { rmSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SetupError } from "../infra/setup/report.mjs";
import { endAllNow, endWithUs } from "./children.ts";
import { measureAll } from "./measure-all.ts";
import { help, type Options, readOptions, rowNames } from "./options.ts";
import { resultsFolder, terminalText, writeResults } from "./report/report.ts";

const say = (line: string) => process.stderr.write(`bench: ${line}\n`);

async function main(options: Options): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "lmstack-bench-"));
  endWithUs(() => rmSync(folder, { recursive: true, force: true }));
  const report = await measureAll(options, folder, say);
  const { findings } = report;
  console.log(terminalText(report));
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(findings, null, 2)}\n`);
  if (!options.quick && options.rows.length === rowNames.length) {
    await writeResults(report);
    say(`results are in ${resultsFolder}`);
  }
  return findings.rows.every(({ ok }) => ok) ? 0 : 1;
}

function optionsOrEnd(): Options {
  try {
    const options = readOptions(process.argv.slice(2));
    if (options !== undefined) return options;
    console.log(help);
    process.exit(0);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${help}`);
    process.exit(2);
  }
}

main(optionsOrEnd()).then(
  (code) => process.exit(code),
  (error: Error) => {
    say(error instanceof SetupError ? `${error.message}\n       ${error.next}` : (error.stack ?? error.message));
    endAllNow();
    process.exit(1);
  },
);
