/** What may happen to a host, as a table for people: docs/chaos.md, written by `npm run facts`. */
import { join } from "node:path";
import { projectRoot } from "../lmstudio-sim/bundle.ts";
import { type Ending, kinds, withinSeconds } from "./kinds.ts";

export const chaosFile = join(projectRoot, "docs", "chaos.md");

const endings: Readonly<Record<Ending, string>> = {
  healed: "healed by itself",
  quarantined: "that model quarantined with its reason, the others serve",
  "all quarantined": "LM Studio quarantined with its reason; the proxy says so to its clients; healed by the next `up`",
  "next up": "healed by the next `up`",
};

export const chaosTable = (): string => `# What may happen to a host, and what it comes to

Written by \`npm run facts\` from \`test/chaos/kinds.ts\`; do not edit. \`npm run chaos -- --faults 100 --seed 1\` lets these faults strike a test host with
systemd, one after the other, under a steady load through the proxy. The right end state is there within ${withinSeconds} s after the fault, on top of the time
that the models take to load. It is judged (\`test/chaos/judge.ts\`): one daemon, one supervisor, one proxy, each declared model once and with its context,
nothing left behind, a proved token of every model that serves. No answer that had begun is wrong: it is whole and right, or ends with a failure in words;
only where the proxy itself is struck may a connection break. The second \`up\` after each fault is empty. A short form is part of \`npm test\`.

| fault | what happens | right end | because |
|---|---|---|---|
${kinds.map(({ name, happens, ending, because }) => `| ${name} | ${happens} | ${endings[ending]} | ${because} |`).join("\n")}
`;
