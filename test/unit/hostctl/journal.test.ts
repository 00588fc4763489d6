import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Host, hostAt } from "../../../hostctl/host.ts";
import { note, readJournal } from "../../../hostctl/journal.ts";

describe("the supervisor's journal", () => {
  let home: string;
  let host: Host;
  const said: string[] = [];
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "lmstack-journal-"));
    host = hostAt(home, (line) => said.push(line));
  });
  afterEach(() => rm(home, { recursive: true, force: true }));
  const entry = { what: "starting LM Studio's daemon", why: "it was not running", result: "done", ok: true };
  const file = () => join(host.paths.state, "journal.jsonl");

  test("tells the last fifty things with their time, the newest last", async () => {
    expect(await readJournal(host)).toEqual([]);
    for (let count = 0; count < 60; count++) await note(host, { ...entry, result: `time ${count}` }, new Date(count));
    const told = await readJournal(host);
    expect(told.map(({ result }) => result)).toEqual(Array.from({ length: 50 }, (_, index) => `time ${index + 10}`));
    expect(told[0]).toEqual({ ...entry, result: "time 10", at: "1970-01-01T00:00:00.010Z" });
  });

  test("leaves out a line that a kill cut off, and goes on after it", async () => {
    await note(host, entry);
    await writeFile(file(), '{"at":"2026-01-01","wha\n', { flag: "a" });
    await note(host, entry);
    expect(await readJournal(host)).toHaveLength(2);
  });

  test("does not grow without end", async () => {
    for (let count = 0; count < 400; count++) await note(host, { ...entry, why: "x".repeat(1000) });
    expect((await stat(file())).size).toBeLessThan(262_144 + 2000);
    for (const line of (await readFile(file(), "utf8")).trim().split("\n")) expect(JSON.parse(line)).toBeDefined();
  });

  test("that cannot be written stops nothing", async () => {
    await writeFile(host.paths.root, "a file where the folder should be");
    await note(host, entry);
    expect(said.at(-1)).toMatch(/journal could not be written/);
  });
});
