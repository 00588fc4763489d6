import { createHash } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Host, hostAt } from "../../../../hostctl/host.ts";
import {
  exactPath,
  finishImport,
  importModel as importParts,
  importTargets,
  moveFile,
  undoImport,
} from "../../../../hostctl/resources/import.ts";
import { convergeModelFile, isVerified, removeModelFile } from "../../../../hostctl/resources/model-file.ts";
import { modelParts } from "../../../../hostctl/resources/model-parts.ts";
import type { ModelDocument } from "../../../../infra/spec/host-documents.ts";

let host: Host;
let source: string;
let target: string;

beforeEach(async () => {
  host = hostAt(await mkdtemp(join(tmpdir(), "lmstack-import-")), () => {});
  source = join(host.home, "m.gguf");
  target = join(host.home, ".lmstudio/models/local/repo/m.gguf");
  await writeFile(source, "GGUF the model");
});
afterEach(() => rm(host.home, { recursive: true }));

const document = (mode: ModelDocument["import"], changes: Partial<ModelDocument> = {}): ModelDocument => ({
  stack: "s",
  token: "t",
  become: "none",
  id: "m",
  source: { path: source },
  import: mode,
  publisher: "local",
  repo: "repo",
  load: { gpu: "max", contextLength: 1, parallel: 1 },
  order: 0,
  ...changes,
});
const importModel = (on: Host, model: ModelDocument, path: string) =>
  importParts(on, model, [{ path, sha256: null, urls: [] }]);
const modelFile = async (on: Host, model: ModelDocument) => (await modelParts(on, model))[0]?.path ?? "";
const modes = ["symlink", "hard-link", "copy", "move"] as const;
const there = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

describe.each(modes)("import by %s", (mode) => {
  test("places the file once and takes back exactly what it placed", async () => {
    expect(await importModel(host, document(mode), source)).toHaveLength(1);
    expect(await readFile(target, "utf8")).toBe("GGUF the model");
    expect(await there(source)).toBe(mode !== "move");
    const again = mode === "move" ? target : source;
    expect(await importModel(host, document(mode), again)).toEqual([]);
    await undoImport(host, "m");
    expect(await there(join(host.home, ".lmstudio"))).toBe(false);
    expect(await readFile(source, "utf8")).toBe("GGUF the model");
  });

  test("takes over the same file that somebody else imported, and leaves it there at the end", async () => {
    await mkdir(join(target, ".."), { recursive: true });
    await symlink(source, target);
    expect(await importModel(host, document(mode), source)).toEqual([]);
    await undoImport(host, "m");
    expect(await readlink(target)).toBe(source);
  });

  test("does not touch another file of that name", async () => {
    await mkdir(join(target, ".."), { recursive: true });
    await writeFile(target, "GGUF of somebody");
    await expect(importModel(host, document(mode), source)).rejects.toMatchObject({
      code: "import_failed",
      message: expect.stringContaining(target),
    });
    expect(await readFile(target, "utf8")).toBe("GGUF of somebody");
    expect(await readFile(source, "utf8")).toBe("GGUF the model");
  });

  test("replaces a link to nowhere", async () => {
    await mkdir(join(target, ".."), { recursive: true });
    await symlink("gone.gguf", target);
    await importModel(host, document(mode), source);
    expect(await readFile(target, "utf8")).toBe("GGUF the model");
  });
});

test("another way of importing replaces the first", async () => {
  await importModel(host, document("symlink"), source);
  await importModel(host, document("copy"), source);
  await expect(readlink(target)).rejects.toThrow();
  await importModel(host, document("hard-link"), source);
  expect((await stat(target)).ino).toBe((await stat(source)).ino);
});

test("a file that was moved is brought back first when another way of importing replaces the move", async () => {
  await importModel(host, document("move"), source);
  await importModel(host, document("symlink"), await modelFile(host, document("symlink")));
  expect(await readlink(target)).toBe(source);
  expect(await readFile(source, "utf8")).toBe("GGUF the model");
  await importModel(host, document("move"), source);
  await importModel(host, document("move", { repo: "other" }), target);
  expect(await readFile(target.replace("repo", "other"), "utf8")).toBe("GGUF the model");
});

test("a download that was moved counts as there and verified, and goes with its model", async () => {
  const sha256 = createHash("sha256").update("GGUF the model").digest("hex");
  const moved = document("move", { source: { url: "https://h/m.gguf" }, sha256 });
  const download = await modelFile(host, moved);
  await mkdir(join(download, ".."), { recursive: true });
  await rename(source, download);
  for (const changes of [1, 0]) {
    expect(await convergeModelFile(host, moved)).toEqual([]);
    expect(await importModel(host, moved, await modelFile(host, moved))).toHaveLength(changes);
    expect(await isVerified(host, moved)).toBe(true);
  }
  expect(await there(download)).toBe(false);
  await removeModelFile(host, "m");
  expect(await there(target)).toBe(false);
});

test("the only copy stays when its source is gone", async () => {
  await importModel(host, document("copy"), source);
  await rm(source);
  await expect(importModel(host, document("copy"), source)).rejects.toMatchObject({ code: "file_missing" });
  expect(await readFile(target, "utf8")).toBe("GGUF the model");
});

describe.each(modes)("a change of a model that is imported by %s", (mode) => {
  const other = () => document(mode, { repo: "other" });
  const otherSource = () => join(host.home, "n.gguf");
  const change = async () => {
    await writeFile(otherSource(), "GGUF of another");
    await importModel(host, document(mode), source);
    await importModel(host, other(), otherSource());
  };

  test("keeps the import that serves until the new one does, and takes back both at removal", async () => {
    await change();
    expect(await readFile(target, "utf8")).toBe("GGUF the model");
    expect(await readFile(target.replace("repo", "other"), "utf8")).toBe("GGUF of another");
    await finishImport(host, "m");
    expect(await there(target)).toBe(false);
    expect(await readFile(source, "utf8")).toBe("GGUF the model");
    await undoImport(host, "m");
    expect([await there(join(host.home, ".lmstudio")), await readFile(otherSource(), "utf8")]).toEqual([
      false,
      "GGUF of another",
    ]);
  });

  test("that is taken back leaves the first import as it was", async () => {
    await change();
    await importModel(host, document(mode), mode === "move" ? target : source);
    await finishImport(host, "m");
    expect(await readFile(target, "utf8")).toBe("GGUF the model");
    expect(await there(target.replace("repo", "other"))).toBe(false);
    expect(await readFile(otherSource(), "utf8")).toBe("GGUF of another");
    await undoImport(host, "m");
    expect([await there(join(host.home, ".lmstudio")), await readFile(source, "utf8")]).toEqual([
      false,
      "GGUF the model",
    ]);
  });
});

test("models go where LM Studio's settings say", async () => {
  await mkdir(join(host.home, ".lmstudio"));
  await writeFile(
    join(host.home, ".lmstudio/settings.json"),
    JSON.stringify({ downloadsFolder: join(host.home, "elsewhere") }),
  );
  await importModel(host, document("symlink"), source);
  expect(await readlink(join(host.home, "elsewhere/local/repo/m.gguf"))).toBe(source);
});

test("a copy that was killed half-way leaves no file of the final name and is swept", async () => {
  await mkdir(join(target, ".."), { recursive: true });
  const left = join(target, "..", ".m.gguf.999999999.0123abcd.tmp");
  await writeFile(left, "GGUF th");
  await chmod(left, 0o600);
  await importModel(host, document("copy"), source);
  expect(await there(left)).toBe(false);
});

test("every part of a multi-part model is verified and imported under its own name, and observed", async () => {
  const parts = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"].map((name) => join(host.home, name));
  for (const part of parts) await writeFile(part, `GGUF ${part}`);
  const sha256 = parts.map((part) => createHash("sha256").update(`GGUF ${part}`).digest("hex"));
  const model = document("symlink", { source: { path: parts[0] as string }, sha256 });
  await convergeModelFile(host, model);
  await importParts(host, model, await modelParts(host, model));
  const targets = await importTargets(host, model, await modelParts(host, model));
  expect(await Promise.all(targets.map((path) => readlink(path)))).toEqual(parts);
  expect(exactPath(model)).toBe("local/repo/m-00001-of-00002.gguf");
  expect(await isVerified(host, model)).toBe(true);
  await rm(parts[1] as string);
  expect(await isVerified(host, model)).toBe(false);
  await expect(convergeModelFile(host, model)).rejects.toMatchObject({ code: "file_missing" });
  await undoImport(host, "m");
  expect(await there(join(host.home, ".lmstudio"))).toBe(false);
});

test.each(modes)(
  "a folder imported by %s comes with its folders below, and goes without anything left",
  async (mode) => {
    const folder = join(host.home, "mlx");
    await mkdir(join(folder, "sub"), { recursive: true });
    const names = ["config.json", "model.safetensors", "sub/a.txt"];
    for (const name of names) await writeFile(join(folder, name), name);
    const model = document(mode, { source: { path: folder } });
    for (let times = 0; times < 2; times++) {
      await convergeModelFile(host, model);
      const changes = await importParts(host, model, await modelParts(host, model));
      expect(changes).toHaveLength(times === 0 ? 1 : 0);
    }
    expect(exactPath(model)).toBe("local/repo");
    for (const name of names) expect(await readFile(join(target, "..", name), "utf8")).toBe(name);
    expect(await isVerified(host, model)).toBe(true);
    expect(await there(join(folder, "sub/a.txt"))).toBe(mode !== "move");
    await undoImport(host, "m");
    expect(await there(join(host.home, ".lmstudio"))).toBe(false);
    for (const name of names) expect(await readFile(join(folder, name), "utf8")).toBe(name);
  },
);

test("what an earlier lmstack imported is taken back as well", async () => {
  await importModel(host, document("symlink"), source);
  const former = { target, source, mode: "symlink", made: true, firstFolder: join(host.home, ".lmstudio") };
  await writeFile(join(host.paths.state, "imports/m.json"), JSON.stringify(former));
  await undoImport(host, "m");
  expect(await there(join(host.home, ".lmstudio"))).toBe(false);
});

const memory = "/dev/shm";
const otherDisk = existsSync(memory) && statSync(memory).dev !== statSync(tmpdir()).dev;
test.runIf(otherDisk)("a move to another disk copies, reads back, and only then gives up the source", async () => {
  const far = await mkdtemp(join(memory, "lmstack-import-"));
  try {
    const goal = join(far, "m.gguf");
    await expect(moveFile(source, goal, "0".repeat(64))).rejects.toMatchObject({ code: "checksum_mismatch" });
    expect([await there(source), await readdir(far)]).toEqual([true, []]);
    await moveFile(source, goal, null);
    expect([await there(source), await readFile(goal, "utf8")]).toEqual([false, "GGUF the model"]);
  } finally {
    await rm(far, { recursive: true });
  }
});

test("the path that LM Studio shows ends in the file's own name", () => {
  expect(exactPath(document("symlink"))).toBe("local/repo/m.gguf");
  expect(exactPath(document("symlink", { source: { url: "https://h/a%20b.gguf?download=true" } }))).toBe(
    "local/repo/a b.gguf",
  );
  expect(exactPath(document("symlink", { source: { url: "https://h/resolve" } }))).toBe("local/repo/repo.gguf");
});
