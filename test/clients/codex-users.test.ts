/** The real Codex in the hands of those who load a fleet, against one proxy, before they are let loose on three hosts. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { codexArtifacts } from "../../infra/codex/artifacts.ts";
import { parseHostSpec } from "../../infra/spec/parse.ts";
import { argumentsDuring, formsOf } from "../e2e/planted-secret.ts";
import { CodexUsers } from "../fleet-runs/codex-users.ts";
import { wrongWithCodex } from "../fleet-runs/judge.ts";
import { modelId, scripts } from "../fleet-runs/models.ts";
import { projectRoot } from "../pulumi/stack.ts";
import { key, type Place, startPlace } from "./place.ts";

const contextLength = 65_536;
const always = [{ model: "A", from: 0, to: Number.MAX_SAFE_INTEGER }] as const;
let place: Place;
let scratch: string;

beforeAll(async () => {
  place = await startPlace({}, [{ id: modelId, contextLength, parallel: 4, ...scripts.A, tokenMs: 1 }]);
  await mkdir(join(projectRoot, ".lmstack"), { recursive: true });
  scratch = await mkdtemp(join(projectRoot, ".lmstack", "codex-users-"));
});
afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
  if (scratch !== undefined) await rm(scratch, { recursive: true, force: true });
});

const install = async (codexHome: string): Promise<string> => {
  const spec = parseHostSpec({
    platform: "linux-cpu",
    connection: { local: true },
    models: [{ id: modelId, source: { path: "/models/m.gguf" }, load: { contextLength } }],
    proxy: { keys: ["team-a"] },
    codex: { baseUrl: place.baseUrl },
  });
  await mkdir(codexHome);
  for (const { name, content, mode } of codexArtifacts(spec, key, "box"))
    await writeFile(join(codexHome, name), content, { mode });
  return join(codexHome, "codex-box");
};

test("each of them goes on in one thread, with a tool called in every turn, the key in no argument, and leaves nothing behind", async () => {
  const folder = join(scratch, "codex");
  const users = await CodexUsers.open(2, folder, install);
  const turns = users.take();
  const work = vi.waitFor(() => expect(turns.push(...users.take())).toBeGreaterThan(3), { timeout: 30_000 });
  expect(await argumentsDuring(work, formsOf(key))).toEqual([]);
  await users[Symbol.asyncDispose]();
  turns.push(...users.take());
  expect(turns.map((turn) => wrongWithCodex(turn, always))).toEqual(turns.map(() => null));
  expect(new Set(turns.map(({ thread }) => thread)).size).toBe(2);
  expect(await readdir(scratch)).toEqual([]);
});
