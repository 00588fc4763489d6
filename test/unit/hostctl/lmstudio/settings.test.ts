import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Host, hostAt } from "../../../../hostctl/host.ts";
import { writeInstalled } from "../../../../hostctl/lmstudio/installed.ts";
import {
  applySettings,
  modelsFolder,
  pendingSettings,
  restoreSettings,
  settingsDrift,
} from "../../../../hostctl/lmstudio/settings.ts";

let host: Host;
const server = () => join(host.paths.lmstudio, ".internal/http-server-config.json");
const settings = () => join(host.paths.lmstudio, "settings.json");
const read = async (path: string) => JSON.parse(await readFile(path, "utf8"));

beforeEach(async () => {
  host = hostAt(await mkdtemp(join(tmpdir(), "lmstack-settings-")), () => {});
  await mkdir(join(host.paths.lmstudio, ".internal"), { recursive: true });
});
afterEach(() => rm(host.home, { recursive: true }));

test("only the keys that matter change; a person's keys stay", async () => {
  await writeFile(server(), JSON.stringify({ port: 1234, cors: true, verbose: true, logSensitiveData: true }));
  await writeFile(
    settings(),
    JSON.stringify({ downloadsFolder: "/big", developer: { jitModelTTL: { enabled: true } } }),
  );
  expect((await pendingSettings(host, 8081)).map(({ what }) => what)).toContain(
    "setting .internal/http-server-config.json:port",
  );
  await applySettings(host, 8081);
  expect(await read(server())).toMatchObject({
    port: 8081,
    cors: false,
    verbose: true,
    logSensitiveData: false,
    logIncomingTokens: false,
    fileLoggingMode: "succinct",
    networkInterface: "127.0.0.1",
    justInTimeModelLoading: false,
  });
  expect(await read(settings())).toEqual({
    downloadsFolder: "/big",
    developer: { jitModelTTL: { enabled: true }, autoUpdateExtensionPacks: false, autoDeleteExtensionPacks: false },
  });
  expect(await modelsFolder(host)).toBe("/big");
  expect(await applySettings(host, 8081)).toEqual([]);
  expect((await stat(join(host.paths.lmstudio, ".internal/temp"))).isDirectory()).toBe(true);
});

test("what may hold prompts or keys is the owner's alone where lmstack installed LM Studio, and as it was where a person did", async () => {
  const mode = async (path: string) => ((await stat(join(host.paths.lmstudio, path))).mode & 0o777).toString(8);
  await chmod(host.paths.lmstudio, 0o755);
  await applySettings(host, 8081);
  expect(await mode("")).toBe("755");
  await writeInstalled(host, { versions: [], good: null, trial: null, found: null, createdPointer: true });
  await applySettings(host, 8082);
  for (const folder of ["", ".internal", "server-logs"]) expect([folder, await mode(folder)]).toEqual([folder, "700"]);
  for (const file of ["settings.json", ".internal/http-server-config.json"])
    expect([file, await mode(file)]).toEqual([file, "600"]);
});

test("settings without a models folder get one, because imports fail without it", async () => {
  await writeFile(settings(), JSON.stringify({ useHFProxy: false }));
  await applySettings(host, 8081);
  expect(await read(settings())).toMatchObject({
    useHFProxy: false,
    downloadsFolder: join(host.paths.lmstudio, "models"),
  });
});

test("drift names what differs from what was written, and nothing before anything was written", async () => {
  await writeFile(server(), JSON.stringify({ port: 1, cors: true }));
  expect(await settingsDrift(host)).toEqual([]);
  await applySettings(host, 8081);
  expect(await settingsDrift(host)).toEqual([]);
  await writeFile(server(), JSON.stringify({ ...(await read(server())), cors: true, verbose: true }));
  expect(await settingsDrift(host)).toEqual([".internal/http-server-config.json:cors"]);
});

test("whatever was there comes back, however often it was applied, but for what somebody changed since", async () => {
  const values = fc.oneof(fc.boolean(), fc.integer(), fc.string());
  const trees = fc.record(
    {
      port: values,
      cors: values,
      logSensitiveData: values,
      other: values,
      developer: fc.record({ autoUpdateExtensionPacks: values }),
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(trees, trees, fc.integer({ min: 1, max: 3 }), async (serverTree, settingsTree, times) => {
      await rm(host.paths.state, { recursive: true, force: true });
      await writeFile(server(), JSON.stringify(serverTree));
      await writeFile(settings(), JSON.stringify({ downloadsFolder: "/d", developer: {}, ...settingsTree }));
      const before = [await read(server()), await read(settings())];
      for (let time = 0; time < times; time++) await applySettings(host, 8081 + time);
      await restoreSettings(host);
      expect([await read(server()), await read(settings())]).toEqual(before);
    }),
    { numRuns: 25 },
  );
});
