/** Bundles that are kept must never be older than their sources: a host would get a program that is not the one in the clone. */
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keptBundles } from "../../../../infra/host/kept-bundles.ts";

let root: string;
let made = 0;
let meanwhile = async (): Promise<void> => {};
const bundles = () =>
  keptBundles(join(root, "cache"), root, async () => {
    made++;
    await meanwhile();
    const sources = (await readdir(root)).filter((name) => name.endsWith(".ts"));
    return { sources, files: { "out.mjs": await readFile(join(root, "one.ts")) } };
  });
const textOf = async () => Buffer.from((await bundles())["out.mjs"] ?? []).toString();

beforeEach(async () => {
  made = 0;
  root = await mkdtemp(join(tmpdir(), "kept-"));
  meanwhile = async () => {};
  for (const [name, text] of [
    ["one.ts", "first"],
    ["two.ts", ""],
  ] as const) {
    await writeFile(join(root, name), text);
    await utimes(join(root, name), 1, 1);
  }
});
afterEach(() => rm(root, { recursive: true, force: true }));

test("bundles are made once for as long as no source changes", async () => {
  expect([await textOf(), await textOf(), await textOf()]).toEqual(["first", "first", "first"]);
  expect(made).toBe(1);
});

test("a source that changes is in the next bundle, also when it only moves a byte from one file to the next", async () => {
  await bundles();
  await writeFile(join(root, "one.ts"), "firs");
  await writeFile(join(root, "two.ts"), "t");
  expect(await textOf()).toBe("firs");
  expect(made).toBe(2);
});

test("what was kept and is damaged is made anew", async () => {
  await bundles();
  const file = join(root, "cache", "bundles");
  const content = await readFile(file);
  content[content.lastIndexOf("first")] = 0x46;
  await writeFile(file, content);
  expect(await textOf()).toBe("first");
  await writeFile(file, "no bundles at all");
  expect(await textOf()).toBe("first");
  expect(made).toBe(3);
});

test("a source that is gone is no hindrance: the bundles are made of what is there now", async () => {
  await bundles();
  await rm(join(root, "two.ts"));
  expect(await textOf()).toBe("first");
  expect(made).toBe(2);
});

test("bundles are not kept when a source was edited while they were made", async () => {
  meanwhile = () => writeFile(join(root, "two.ts"), "edited");
  await bundles();
  meanwhile = async () => {};
  await utimes(join(root, "two.ts"), 1, 1);
  await bundles();
  expect(made).toBe(2);
});
