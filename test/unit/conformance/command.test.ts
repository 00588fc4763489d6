/** `npm run conformance` against an LM Studio that is in somebody's use: here a stand-in that knows nothing of being asked. */
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { facts } from "../../conformance/facts.ts";
import { factsTable, tableFile } from "../../conformance/table.ts";
import { projectRoot } from "../../lmstudio-sim/bundle.ts";
import { freePort, type ScratchHome, scratchHome } from "../lmstudio-sim/scratch-home.ts";

async function conformance(box: ScratchHome, ...flags: string[]) {
  const file = join(box.home, "facts.json");
  const environment = { ...process.env, LMSTUDIO_HOME: box.sim.home };
  const program = join(projectRoot, "test", "conformance", "main.ts");
  const ran = await promisify(execFile)(process.execPath, [program, "--json", file, ...flags], {
    env: environment,
  }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
  const text = await readFile(file, "utf8").catch(() => '{"rows":[]}');
  return { ...ran, rows: (JSON.parse(text) as { rows: { name: string; value: string; ok: boolean }[] }).rows };
}

test("the table in the docs is as the facts are: npm run facts", async () => {
  expect(await readFile(tableFile, "utf8")).toBe(factsTable());
});

test("a daemon that is down stays down, and a row a fact says what was not asked and why", async () => {
  await using box = await scratchHome();
  const { code, stdout, rows } = await conformance(box);
  expect([code, rows.length]).toEqual([0, facts.length]);
  expect(stdout).toContain("0 hold no longer");
  expect(rows.filter(({ value }) => value === "not asked: no daemon runs").length).toBeGreaterThan(10);
  expect(box.sim.journal()).toEqual([]);
});

test("what a new version does otherwise is named with its source, and the exit is 1", async () => {
  await using box = await scratchHome({
    traps: { unknownPathStatus: 404 },
    models: [{ name: "m", tokenMs: 0, thinkTokens: 4 }],
  });
  await box.lms("load", "m", "-y", "--ttl", "3600");
  await box.lms("server", "start", "--port", String(await freePort()));
  const { code, stdout, rows } = await conformance(box, "--only", "LMS-201,LMS-046,LMS-264,LMS-101");
  expect(code).toBe(1);
  expect(stdout).toMatch(/NO {2}LMS-201 [\s\S]*source: BT#618/);
  expect(rows.map(({ name, ok }) => [name.slice(0, 7), ok])).toEqual([
    ["LMS-046", true],
    ["LMS-101", true],
    ["LMS-201", false],
    ["LMS-264", true],
  ]);
  expect(await box.json("ps")).toMatchObject([{ identifier: "m" }]);
});

test("--mutate asks in a scratch home that is gone afterwards, and only where LM Studio is down", async () => {
  await using box = await scratchHome({ models: [{ name: "m" }] });
  const { code, rows } = await conformance(box, "--mutate", "--only", "LMS-101,LMS-083,LMS-120");
  expect([code, rows.map(({ value }) => value)]).toEqual([0, ["holds", "holds", "holds"]]);
  expect((await readdir(box.home)).filter((name) => name.includes("conformance"))).toEqual([]);
  expect(box.sim.journal()).toEqual([]);
  await box.lms("daemon", "up");
  expect(await conformance(box, "--mutate")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("lms daemon down"),
  });
});
