/** The facts as a table for people: docs/facts.md, written by `npm run facts`. */
import { join } from "node:path";
import { projectRoot } from "../lmstudio-sim/bundle.ts";
import { type Fact, whyNotReal } from "./fact.ts";
import { facts } from "./facts.ts";

export const tableFile = join(projectRoot, "docs", "facts.md");

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function how(fact: Fact): string {
  if ("reads" in fact) return "as it is";
  const why = whyNotReal(fact);
  return why === null ? "scratch home" : `stand-in only: ${why}`;
}

const row = (fact: Fact): string =>
  `| ${[fact.id, fact.words, fact.source, fact.version ?? "", fact.lmstack, how(fact)].map(cell).join(" | ")} |`;

export const factsTable = (): string => `# What LM Studio does

Written by \`npm run facts\` from \`test/conformance/facts\`; do not edit. Each row is a test of the stand-in (\`test/lmstudio-sim\`) in \`npm test\`, and a
question to a real LM Studio in \`LMSTUDIO_HOME=~/.lmstudio npm run conformance\` (\`--help\`). None of it was asked of a real one here: it is what source,
documentation, issues and other people's notes say. Sources: \`lms\`, \`lmstudio-js\`, \`docs\`: LM Studio's repositories of that name, as of August 2026; \`BT#n\`:
lmstudio-bug-tracker; \`lms#n\`: issues of lms; \`seen\`: notes of others. Versions are llmster's; 0.0.N is taken to be the application's 0.4.N.

| id | LM Studio | source | version | lmstack | a real one is asked |
|---|---|---|---|---|---|
${facts.map(row).join("\n")}
`;
