import { lstat, mkdir, readFile, readlink, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeScriptModel } from "../../lmstudio-sim/gguf/script-model.ts";
import { isSubsequence } from "../../lmstudio-sim/lms/load.ts";
import { type ScratchHome, scratchHome } from "./scratch-home.ts";

interface Entry {
  readonly identifier: string;
  readonly modelKey: string;
  readonly path: string;
  readonly contextLength: number;
  readonly parallel: number;
}

describe("models (lms load.ts, unload.ts)", () => {
  let box: ScratchHome;
  beforeAll(async () => {
    box = await scratchHome({ models: [{ name: "Qwen-27B" }, { name: "Quiet-Owl-7B" }] });
  });
  afterAll(() => box[Symbol.asyncDispose]());

  const path = "local/Qwen-27B/Qwen-27B.gguf";
  const loaded = (): Promise<Entry[]> => box.json<Entry[]>("ps");

  test("a listing wakes the daemon and says so on stderr only", async () => {
    const { code, out, err } = await box.lms("ls", "--json");
    expect([code, err]).toEqual([0, "Waking up LM Studio service...\n"]);
    expect(JSON.parse(out)).toMatchObject([
      { modelKey: "quiet-owl-7b" },
      { type: "llm", modelKey: "qwen-27b", path, format: "gguf", deviceIdentifier: null },
    ]);
    expect(await box.json("daemon", "status")).toMatchObject({ status: "running", isDaemon: true });
  });

  test("nothing loaded is an empty array, and a sentence on stderr without --json", async () => {
    expect(await loaded()).toEqual([]);
    expect(await box.lms("ps")).toEqual({ code: 0, out: "", err: "No models are currently loaded.\n" });
  });

  test("--exact compares with the path, not with the key", async () => {
    expect(await box.lms("load", "--exact", "qwen-27b", "-y")).toMatchObject({
      code: 1,
      err: expect.stringContaining("Model not found"),
    });
    const good = await box.lms(
      "load",
      "--exact",
      path,
      "--identifier",
      "X",
      "--gpu",
      "max",
      "-c",
      "4096",
      "--parallel",
      "2",
      "-y",
    );
    expect(good).toMatchObject({
      code: 0,
      err: expect.stringMatching(
        /^Model loaded successfully in .*s\.\n\(.*\)\nTo use the model in the API\/SDK, use the identifier "X"\.\n$/,
      ),
    });
    expect(good.out).toContain("\u001b[");
    expect(await loaded()).toMatchObject([{ identifier: "X", contextLength: 4096, parallel: 2 }]);
  });

  test("a second load of the same identifier makes X:2", async () => {
    await box.lms("load", "--exact", path, "--identifier", "X", "-y");
    expect((await loaded()).map((entry) => entry.identifier)).toEqual(["X", "X:2"]);
    expect((await loaded())[1]).toMatchObject({ contextLength: 8192, parallel: 4 });
  });

  test("without --exact a few letters in order are enough, the last loaded wins, and the exit is 0", async () => {
    expect(
      isSubsequence("qn", "qwen-27b") && isSubsequence("QW7B", "qwen-27b") && !isSubsequence("bq", "qwen-27b"),
    ).toBe(true);
    const { code, err } = await box.lms("load", "q7b", "-y", "--identifier", "guess");
    expect([code, err.split("\n")[0]]).toEqual([
      0,
      "Warning: 2 models match the provided model key on the same device. Loading the first one.",
    ]);
    expect((await loaded()).find((entry) => entry.identifier === "guess")?.modelKey).toBe("qwen-27b");
    expect(await box.lms("load", "zzz", "-y")).toMatchObject({
      code: 1,
      err: expect.stringContaining("Model not found"),
    });
  });

  test("an ambiguous key without -y asks, and fails without a terminal", async () => {
    expect((await box.lms("load", "q")).code).toBe(1);
  });

  test("bad numbers are refused by the parser", async () => {
    expect((await box.lms("load", "q", "-c", "0")).code).toBe(1);
    expect((await box.lms("load", "q", "--gpu", "2")).code).toBe(1);
  });

  test("--estimate-only exits 0, speaks on stderr and loads nothing", async () => {
    const before = (await loaded()).length;
    expect(await box.lms("load", "--exact", path, "--estimate-only", "-y")).toMatchObject({
      code: 0,
      out: "",
      err: expect.stringContaining("Estimated GPU Memory:"),
    });
    expect(await loaded()).toHaveLength(before);
  });

  test("unload of an unknown identifier exits 0 (lms unload.ts)", async () => {
    expect(await box.lms("unload", "nobody")).toMatchObject({
      code: 0,
      err: expect.stringContaining("Model Not Found"),
    });
    expect(await box.lms("unload", "X", "--all")).toMatchObject({
      code: 0,
      err: expect.stringContaining("Invalid Usage"),
    });
    expect(await box.lms("unload", "X:2")).toMatchObject({ code: 0, err: 'Model "X:2" unloaded.\n' });
    expect(await box.lms("unload", "--all")).toMatchObject({ code: 0, err: "Unloaded 2 models.\n" });
    expect(await box.lms("unload", "--all")).toMatchObject({ code: 0, err: "No models to unload.\n" });
    expect((await box.lms("unload")).code).toBe(1);
  });

  test("a load fails while .internal/temp is missing (0.0.25), and while the engine is busy right after the start", async () => {
    await using other = await scratchHome({ temp: false, models: [{ name: "m" }] });
    expect(await other.lms("load", "m", "-y")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/ENOENT.*mkdtemp .*\.internal\/temp/),
    });
    await mkdir(join(other.sim.home, ".internal", "temp"));
    other.sim.setTraps({ textFileBusyMs: 600_000 });
    expect(await other.lms("load", "m", "-y")).toMatchObject({
      code: 1,
      err: expect.stringContaining("Text file busy"),
    });
    expect((await other.lms("runtime", "survey", "--json")).code).toBe(1);
    other.sim.setTraps({ loadFails: "out of memory" });
    expect(await other.lms("load", "m", "-y")).toMatchObject({
      code: 1,
      err: expect.stringContaining("out of memory"),
    });
    other.sim.setTraps({});
    expect((await other.lms("load", "m", "-y")).code).toBe(0);
  });

  test("the model's default file applies where no flag says otherwise", async () => {
    const file = join(box.sim.home, ".internal", "user-concrete-model-default-config", `${path}.json`);
    await mkdir(join(file, ".."), { recursive: true });
    const field = (key: string, value: unknown): unknown => ({ key, value });
    const load = { fields: [field("llm.load.contextLength", 2000), field("llm.load.numParallelSessions", 1)] };
    await writeFile(
      file,
      JSON.stringify({ operation: { fields: [field("llm.prediction.reasoning.enableThinking", false)] }, load }),
    );
    await box.lms("load", "--exact", path, "--identifier", "D", "--parallel", "3", "-y");
    expect((await loaded()).find((entry) => entry.identifier === "D")).toMatchObject({
      contextLength: 2000,
      parallel: 3,
    });
  });
});

describe("import (lms importCmd.ts)", () => {
  test("every mode, its messages and its traps", async () => {
    await using box = await scratchHome();
    const source = join(box.home, "M.gguf");
    await writeScriptModel(source, { name: "M" });
    const target = join(box.sim.home, "models", "local", "M", "M.gguf");
    const imported = (...args: string[]) => box.lms("import", ...args);

    const first = await imported(source, "-y", "-l", "--user-repo", "local/M", "--dry-run");
    expect(first).toMatchObject({
      code: 0,
      err: expect.stringContaining(
        `Would create a symbolic link at ${target}\nBut not actually doing it because of --dry-run`,
      ),
    });
    expect(first.err).toContain("Could not locate LM Studio configuration file, using default path:");

    expect(await imported(source, "-y", "-l", "--user-repo", "local/M")).toMatchObject({
      code: 0,
      err: expect.stringContaining(`Symbolic link created at ${target}`),
    });
    expect(await readlink(target)).toBe(source);
    expect(await imported(source, "-y", "-l", "--user-repo", "local/M")).toMatchObject({
      code: 1,
      err: expect.stringContaining(`Target file already exists: ${target}`),
    });

    expect(await imported(source, "-y", "-L", "--user-repo", "local/hard")).toMatchObject({
      code: 0,
      err: expect.stringContaining("Hard link created at"),
    });
    expect((await stat(source)).nlink).toBe(2);
    expect(await imported(source, "-y", "-c", "--user-repo", "local/copy")).toMatchObject({
      code: 0,
      err: expect.stringContaining("File copied to"),
    });

    expect(await imported(source, "-y", "-c", "-l", "--user-repo", "a/b")).toMatchObject({
      code: 1,
      err: expect.stringContaining("Cannot specify more than one of"),
    });
    expect(await imported(source, "-y", "-l", "--user-repo", "nope")).toMatchObject({
      code: 1,
      err: expect.stringContaining("Must be user and repo separated by a slash."),
    });
    expect(await imported(join(box.home, "no.gguf"), "-y", "-l", "--user-repo", "a/b")).toMatchObject({
      code: 1,
      err: expect.stringContaining("File does not exist"),
    });
    expect(await imported(box.home, "-y", "-l", "--user-repo", "a/b")).toMatchObject({
      code: 1,
      err: expect.stringContaining("Path is not a file"),
    });

    const move = await imported(source, "-y", "--user-repo", "local/moved");
    expect(move).toMatchObject({
      code: 1,
      err: expect.stringContaining("Warning about move suppressed by the --yes flag."),
    });
    expect((await lstat(source)).isFile()).toBe(true);
    await writeFile(join(box.sim.home, ".internal", "cli-pref.json"), '{"importWillMoveWarned":true}');
    expect(await imported(source, "-y", "--user-repo", "local/moved")).toMatchObject({
      code: 0,
      err: expect.stringContaining("File moved to"),
    });
    // No daemon was needed for any of it.
    expect(await box.json("daemon", "status")).toEqual({ status: "not-running" });
  });

  test("a dangling link at the target is a system error, a relative source makes one, and the models folder comes from the settings", async () => {
    await using box = await scratchHome();
    const source = join(box.home, "M.gguf");
    await writeScriptModel(source, { name: "M" });
    const folder = join(box.home, "elsewhere");
    await writeFile(join(box.sim.home, "settings.json"), JSON.stringify({ downloadsFolder: folder, mine: 1 }));
    await mkdir(join(folder, "local", "M"), { recursive: true });
    await symlink("/nowhere.gguf", join(folder, "local", "M", "M.gguf"));
    expect(await box.lms("import", source, "-y", "-l", "--user-repo", "local/M")).toMatchObject({
      code: 1,
      err: expect.stringContaining("EEXIST"),
    });
    expect(await box.json("ls")).toEqual([]);
    expect(JSON.parse(await readFile(join(box.sim.home, "settings.json"), "utf8"))).toMatchObject({
      downloadsFolder: folder,
      mine: 1,
      enableLocalService: true,
    });
    await writeFile(join(box.sim.home, "settings.json"), "{}");
    expect((await box.lms("import", source, "-y", "-l", "--user-repo", "local/N")).code).toBe(1);
  });
});
