import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { facts } from "../../conformance/facts.ts";
import { survival, survivalFile, survivalTable } from "../../conformance/survival.ts";
import { projectRoot } from "../../lmstudio-sim/bundle.ts";
import { defaultTraps } from "../../lmstudio-sim/traps.ts";

test("the table in the docs has every trap, as the rows are: npm run facts", async () => {
  expect(Object.keys(survival).sort()).toEqual(Object.keys(defaultTraps).sort());
  expect(await readFile(survivalFile, "utf8")).toBe(survivalTable());
});

describe("the row of", () => {
  test.each(Object.entries(survival))("%s names facts and a test that are there", async (_name, row) => {
    for (const id of row.facts) expect(facts.map((fact) => fact.id)).toContain(id);
    const [file, name] = row.shown;
    expect(await readFile(join(projectRoot, "test", file), "utf8")).toContain(name);
  });
});
