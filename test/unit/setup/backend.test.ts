/** Where Pulumi's state is when nobody said so. */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { backendEnvironment } from "../../../infra/setup/backend.mjs";

let folder: string;
let fresh: Record<string, string>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstack-backend-"));
  fresh = { XDG_STATE_HOME: join(folder, "state"), PULUMI_HOME: join(folder, "home") };
  vi.spyOn(process.stderr, "write").mockImplementation(() => true);
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

test("a user without any backend gets a folder and a passphrase that nobody else may read, and keeps both", async () => {
  const first = backendEnvironment(fresh);
  const passphrase = join(folder, "state/lmstack/passphrase");
  expect(first).toEqual({
    PULUMI_BACKEND_URL: pathToFileURL(join(folder, "state/lmstack/pulumi")).href,
    PULUMI_CONFIG_PASSPHRASE_FILE: passphrase,
  });
  expect((await stat(passphrase)).mode & 0o777).toBe(0o600);
  const text = await readFile(passphrase, "utf8");
  expect(text).toMatch(/^[\w-]{32}$/);
  expect(backendEnvironment(fresh)).toEqual(first);
  expect(await readFile(passphrase, "utf8")).toBe(text);
});

test("whoever chose a backend or a passphrase keeps it", async () => {
  expect(backendEnvironment({ ...fresh, PULUMI_BACKEND_URL: "s3://mine" })).toEqual({});
  expect(backendEnvironment({ ...fresh, PULUMI_ACCESS_TOKEN: "pul-x" })).toEqual({});
  expect(Object.keys(backendEnvironment({ ...fresh, PULUMI_CONFIG_PASSPHRASE: "" }))).toEqual(["PULUMI_BACKEND_URL"]);
  await mkdir(join(folder, "home"));
  await writeFile(join(folder, "home/credentials.json"), '{"current": "https://api.pulumi.com"}');
  expect(backendEnvironment(fresh)).toEqual({});
});
