import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ensureEngine, versionFault } from "../../../infra/setup/engine.mjs";
import { isUsableGo, wantedGo } from "../../../infra/setup/engine-build.mjs";
import { contentHash, engineHashes, enginePaths } from "../../../infra/setup/engine-layout.mjs";

let folder: string;
let said: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lmstack-engine-"));
  said = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    said += text;
    return true;
  });
});
afterEach(() => rmSync(folder, { recursive: true }));

function fakePulumi(version: string, languageHost = true): string {
  const bin = join(folder, `bin-${version}`);
  mkdirSync(bin);
  writeFileSync(join(bin, "pulumi"), `#!/bin/sh\necho ${version}\n`);
  if (languageHost) writeFileSync(join(bin, "pulumi-language-nodejs"), "#!/bin/sh\n");
  chmodSync(join(bin, "pulumi"), 0o755);
  return bin;
}
const cached = (): string => {
  const { bin } = enginePaths(join(folder, "cache", "lmstack"), engineHashes());
  mkdirSync(bin, { recursive: true });
  return bin;
};
const environment = (...path: string[]): NodeJS.ProcessEnv => ({
  PATH: [...path, "/usr/bin", "/bin"].join(":"),
  XDG_CACHE_HOME: join(folder, "cache"),
});

test.each([
  ["v3.259.0", undefined],
  ["v3.200.0", undefined],
  ["3.300.1-alpha.1+dirty", undefined],
  ["v3.199.9", "it is v3.199.9; 3.200 or newer, and below 4, is needed"],
  ["v4.0.0", "it is v4.0.0; 3.200 or newer, and below 4, is needed"],
  ["hello", "it does not say its version; 3.200 or newer, and below 4, is needed"],
])("pulumi that says %s: %s", (line, fault) => {
  expect(versionFault(line)).toBe(fault);
});

test("a fitting pulumi on PATH is used, with the user's own PULUMI_HOME and plugin downloads", async () => {
  const bin = fakePulumi("v3.260.0");
  const engine = await ensureEngine(environment(bin));
  expect(engine.pathFolder).toBe(bin);
  expect(engine.env).toEqual({ LMSTACK_ENGINE_KIND: "official", PULUMI_SKIP_UPDATE_CHECK: "true" });
});

test("an unfitting pulumi is passed over in words, and the engine built earlier is used", async () => {
  const bin = cached();
  const engine = await ensureEngine(environment(fakePulumi("v3.100.0")));
  expect(engine.pathFolder).toBe(bin);
  expect(engine.env).toMatchObject({
    LMSTACK_ENGINE_KIND: "built",
    PULUMI_HOME: join(bin, "..", "home"),
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
  });
  expect(said).toContain("it is v3.100.0; 3.200 or newer");
});

test("a pulumi that cannot run Node programs is passed over", async () => {
  cached();
  const engine = await ensureEngine(environment(fakePulumi("v3.259.0", false)));
  expect(engine.env).toMatchObject({ LMSTACK_ENGINE_KIND: "built" });
  expect(said).toContain("no pulumi-language-nodejs beside it");
});

test("our own engine on PATH, as in a nested call, is not taken for the user's", async () => {
  const bin = cached();
  writeFileSync(join(bin, "pulumi"), "#!/bin/sh\necho v3.259.0\n", { mode: 0o755 });
  expect((await ensureEngine(environment(bin))).env).toMatchObject({ LMSTACK_ENGINE_KIND: "built" });
  await expect(ensureEngine({ ...environment(bin), LMSTACK_ENGINE: "official" })).rejects.toThrow(
    "no `pulumi` on PATH",
  );
});

test("LMSTACK_ENGINE=official never falls back, and says what is wrong", async () => {
  cached();
  const official = (...path: string[]) => ensureEngine({ ...environment(...path), LMSTACK_ENGINE: "official" });
  await expect(official()).rejects.toThrow("there is no `pulumi` on PATH");
  await expect(official(fakePulumi("v3.1.0"))).rejects.toThrow("it is v3.1.0");
  expect((await official(fakePulumi("v3.259.0"))).env).toMatchObject({ LMSTACK_ENGINE_KIND: "official" });
});

test("Go versions that can build the engine, or fetch the toolchain that can", () => {
  expect(isUsableGo("go version go1.26.8 linux/amd64")).toBe(true);
  expect(isUsableGo("go version go1.21.0 darwin/arm64")).toBe(true);
  expect(isUsableGo("go version go1.19.8 linux/amd64")).toBe(false);
  expect(isUsableGo("command not found")).toBe(false);
  expect(wantedGo("module x\n\ngo 1.27.1\n")).toBe("1.27");
});

test("the hash of an engine changes with a file's content, its name and the flags, and with nothing else", () => {
  const file = join(folder, "a.go");
  writeFileSync(file, "one");
  const first = contentHash(folder, [file], ["-trimpath"]);
  expect(contentHash(folder, [file], ["-trimpath"])).toBe(first);
  expect(contentHash(folder, [file], [])).not.toBe(first);
  writeFileSync(join(folder, "b.go"), "one");
  expect(contentHash(folder, [join(folder, "b.go")], ["-trimpath"])).not.toBe(first);
  writeFileSync(file, "two");
  expect(contentHash(folder, [file], ["-trimpath"])).not.toBe(first);
});
