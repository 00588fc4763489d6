import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { key, model, type Place, startPlace } from "./place.ts";

let place: Place;
let home: string;

beforeAll(async () => {
  place = await startPlace({ heartbeatSeconds: 0.2 });
  home = await mkdtemp(join(tmpdir(), "lmstack-codex-client-"));
  await writeFile(
    join(home, "config.toml"),
    [
      `model = "${model}"`,
      'model_provider = "lms"',
      'web_search = "disabled"',
      "[model_providers.lms]",
      'name = "lms API"',
      `base_url = "${place.baseUrl}"`,
      'env_key = "LMS_API_KEY"',
      'wire_api = "responses"',
    ].join("\n"),
  );
});
afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
  if (home !== undefined) await rm(home, { recursive: true, force: true });
});

const codex = (task: string, apiKey: string) =>
  execa(
    join(import.meta.dirname, "../../node_modules/.bin/codex"),
    ["exec", "--dangerously-bypass-approvals-and-sandbox", "--skip-git-repo-check", task],
    {
      cwd: home,
      env: { HOME: home, CODEX_HOME: home, LMS_API_KEY: apiKey, NO_PROXY: "*" },
      stdin: "ignore",
      reject: false,
      timeout: 60_000,
    },
  );

it("Codex runs commands in several steps and comes to its answer, without a thought", async () => {
  const { exitCode, stdout, stderr } = await codex("sim:steps=3 sim:prefill=300 run the steps", key);
  expect(exitCode, stderr).toBe(0);
  expect(stdout).toContain("Done in 3 steps. The last command printed: lmstack-step-3");
  expect(place.lastReasoning()).toBe(0);
});

it("Codex with a wrong key says so", async () => {
  const { exitCode, stderr } = await codex("hello", "sk-wrong");
  expect(exitCode).toBe(1);
  expect(stderr).toContain("This key is not known here");
});
