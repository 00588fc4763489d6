/** `npm run conformance`: which facts of LM Studio hold, of the stand-in or of a real one. */
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Fact } from "./fact.ts";
import { facts } from "./facts.ts";
import { askReal, CannotAsk } from "./real.ts";
import { checkOnStandIn, standingPlace } from "./stand-in.ts";
import { judge, rowOf, told, type Verdict } from "./verdict.ts";

const help = `Asks LM Studio, fact by fact, whether it still does what it is documented to do (docs/facts.md), and prints the facts that hold no longer.

  LMSTUDIO_HOME=~/.lmstudio npm run conformance -- [--mutate] [--only LMS-041,LMS-101] [--json FILE]

LMSTUDIO_HOME  folder of a real LM Studio. Without it the stand-in is asked, which is what the tests do.
--mutate       also asks what changes something: in a scratch home beside the real one, with LM Studio installed there once more from its own
               files and removed again. LM Studio has to be down. Without it nothing is changed or started; a loaded model answers short questions.
--only         these facts only
--json FILE    a row a fact: {"name","value","unit","bar","ok"}

Exit 0: all that was asked holds; 1: something holds no longer; 2: it could not be asked.`;

/** As many homes of the stand-in at once. */
const lanes = 4;

const say = (line: string): void => console.error(line);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      json: { type: "string" },
      mutate: { type: "boolean", default: false },
      only: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  const wanted = values.only?.split(",");
  const unknown = wanted?.find((id) => !facts.some((fact) => fact.id === id));
  if (unknown !== undefined) throw new CannotAsk(`--only: there is no fact ${unknown}`);
  const asked = facts.filter(({ id }) => wanted?.includes(id) ?? true);
  const home = process.env.LMSTUDIO_HOME;
  const verdicts = home
    ? await askReal({ home: resolve(home), facts: asked, mutate: values.mutate, say })
    : await askStandIn(asked);
  if (values.json) await writeFile(values.json, `${JSON.stringify({ rows: verdicts.map(rowOf) }, null, 2)}\n`);
  console.log(told(verdicts));
  return verdicts.some(({ is }) => is === "fallen") ? 1 : 0;
}

async function askStandIn(asked: readonly Fact[]): Promise<Verdict[]> {
  say("LMSTUDIO_HOME is not set: asking the stand-in");
  const standing = await standingPlace();
  try {
    const verdicts: Verdict[] = [];
    const rest = asked.entries();
    const lane = async (): Promise<void> => {
      for (const [index, fact] of rest) {
        verdicts[index] = await judge(fact, () => checkOnStandIn(fact, standing.place));
        if ((index + 1) % 40 === 0) say(`${index + 1} of ${asked.length} asked`);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return verdicts;
  } finally {
    await standing.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof CannotAsk || error instanceof TypeError ? error.message : error);
  process.exitCode = 2;
}
