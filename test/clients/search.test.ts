import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { call, message, search, startTalk } from "../unit/proxy/search/talk.ts";

const rounds = [
  [message("I look it up."), search("lmstack secret word")],
  [call("exec_command", { cmd: "echo heliotrope > found.txt" })],
  [message("The word is heliotrope.")],
  [message("It still is.")],
];

describe("Codex with web search", () => {
  let home: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "lmstack-codex-search-"));
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  const codex = (...args: readonly string[]) =>
    execa(join(import.meta.dirname, "../../node_modules/.bin/codex"), ["exec", ...args], {
      cwd: home,
      env: { HOME: home, CODEX_HOME: home, NO_PROXY: "*" },
      stdin: "ignore",
      timeout: 60_000,
    });
  const freely = ["--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"];
  const itemsIn = (stdout: string) =>
    stdout
      .split("\n")
      .map((line) => JSON.parse(line))
      .flatMap(({ type, item }) => (item === undefined || item.type === "error" ? [] : [{ type, ...item }]));

  it("shows the search in the middle of its turn, goes on with what was found, and brings it to the next turn", async () => {
    await using there = await startTalk(rounds);
    const config = [
      'model = "m"',
      'model_provider = "lms"',
      'web_search = "live"',
      "[model_providers.lms]",
      'name = "lms API"',
      `base_url = "http://127.0.0.1:${there.proxy.port}/v1"`,
      'wire_api = "responses"',
    ];
    await writeFile(join(home, "config.toml"), config.join("\n"));
    const first = await codex(...freely, "Find the secret word of lmstack.");
    const action = { type: "search", query: "lmstack secret word" };
    expect(itemsIn(first.stdout)).toMatchObject([
      { type: "agent_message", text: "I look it up." },
      { type: "web_search", action },
      { type: "web_search", query: "lmstack secret word", action },
      { type: "command_execution" },
      { type: "command_execution", exit_code: 0 },
      { type: "agent_message", text: "The word is heliotrope." },
    ]);
    expect(there.searxng.queries).toEqual(["lmstack secret word"]);
    await codex("resume", "--last", ...freely, "Is it still the same?");
    const [, round, step, turn] = there.asked();
    const found = round?.input.at(-1);
    expect(found).toMatchObject({ type: "function_call_output", output: expect.stringContaining("heliotrope") });
    // All that the search had been told with begins the later requests, so that LM Studio has it in its cache.
    for (const later of [step, turn]) expect(later?.input.slice(0, round?.input.length)).toEqual(round?.input);
    expect(turn?.tools.map(({ type }: { type: string }) => type)).not.toContain("web_search");
  });
});

describe("the openai package", () => {
  const asked = { model: "m", input: "Find the secret word.", tools: [{ type: "web_search" as const }] };
  const answers = [[search("lmstack")], [message("It is heliotrope.")]];

  it.each([true, false])("gets an answer with its search in it (stream: %s)", async (stream) => {
    await using there = await startTalk(answers);
    const client = new OpenAI({ baseURL: `http://127.0.0.1:${there.proxy.port}/v1`, apiKey: "none", maxRetries: 0 });
    const response = await (stream ? client.responses.stream(asked).finalResponse() : client.responses.create(asked));
    expect(response.output_text).toBe("It is heliotrope.");
    expect(response.output[0]).toMatchObject({ type: "web_search_call", status: "completed" });
    expect(response.status).toBe("completed");
  });
});
