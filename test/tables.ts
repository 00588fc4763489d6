/** `npm run facts`: the tables of the docs that are made from what is tested. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { chaosFile, chaosTable } from "./chaos/table.ts";
import { survivalFile, survivalTable } from "./conformance/survival.ts";
import { factsTable, tableFile } from "./conformance/table.ts";

for (const [file, text] of [
  [tableFile, factsTable()],
  [survivalFile, survivalTable()],
  [chaosFile, chaosTable()],
] as const) {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}
