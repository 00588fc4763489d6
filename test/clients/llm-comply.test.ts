import { execa } from "execa";
import { expect, it } from "vitest";
import { key, startPlace } from "./place.ts";

/** Its name lets the suites test thinking too, which they do by name; what it says of images does not matter. */
const model = "o3-claude-4";
/** Two of its tests are of an endpoint that LM Studio does not have. */
const isCompaction = (id: string) => id.startsWith("compact-");

interface Report {
  readonly results: readonly { readonly id: string; readonly status: string; readonly errors?: readonly string[] }[];
}

it.each([
  ["open-responses", 11],
  ["openai-chat", 9],
  ["anthropic", 9],
])("answers and errors keep to the published schema of %s", async (format, tests) => {
  await using place = await startPlace({}, [{ id: model, vision: true }]);
  const { stdout, stderr } = await execa(
    "python3",
    ["-m", "llm_comply.cli", "run", "-u", place.baseUrl, "-k", key, "-m", model, "--format", format, "--json"],
    { env: { NO_PROXY: "*" }, reject: false, timeout: 60_000 },
  );
  expect(stdout, stderr).not.toBe("");
  const results = (JSON.parse(stdout) as Report).results.filter(({ id }) => !isCompaction(id));
  expect(results.filter(({ status }) => status !== "passed")).toEqual([]);
  expect(results.length).toBe(tests);
});
