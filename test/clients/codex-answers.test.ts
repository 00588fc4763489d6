/** The real Codex before an LM Studio that answers in every wrong way: what it then does, and what its user reads. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { type Json, printed } from "../unit/proxy/answer/dialects.ts";
import { lmStudio, responseOf, type Said } from "../unit/proxy/codex/answer/streams.ts";
import { type Answer, startTestProxy, startUpstream } from "../unit/proxy/harness.ts";

const names = { end: "\n", blank: " ", lessThan: "<", names: true, twoLines: false, comments: false } as const;
const text = (words: string): Said => ({ kind: "text", pieces: [words] });
const call = (name: string, args: unknown): Said => ({ kind: "call", name, arguments: args });
const streamed =
  (events: readonly Json[], more = ""): Answer =>
  (response) =>
    response.writeHead(200, { "content-type": "text/event-stream" }).end(printed(events, names) + more);
const saying = (...said: Said[]): Answer => streamed(lmStudio(said));
const failing = (message: string): Answer =>
  streamed(
    lmStudio([text("Let me")]).slice(0, 5),
    `event: error\ndata: ${JSON.stringify({ error: { message }, message })}\n\n`,
  );
const refusing =
  (status: number, body: unknown): Answer =>
  (response) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));

const model = {
  slug: "m",
  display_name: "m",
  supported_reasoning_levels: [],
  shell_type: "unified_exec",
  visibility: "list",
  supported_in_api: true,
  priority: 1,
  support_verbosity: false,
  truncation_policy: { mode: "tokens", limit: 10_000 },
  experimental_supported_tools: [],
  base_instructions: "You are a coding agent.",
  context_window: 100_000,
  apply_patch_tool_type: "freeform",
};

/** One turn of Codex; the last answer is given to all further requests. */
async function turn(answers: readonly Answer[], config: object = {}) {
  const home = await mkdtemp(join(tmpdir(), "lmstack-codex-answers-"));
  let asked = 0;
  await using upstream = await startUpstream((...all) => {
    const answer = answers[Math.min(asked++, answers.length - 1)] as Answer;
    answer(...all);
  });
  await using proxy = await startTestProxy({ upstream: upstream.url, ...config });
  const toml = [
    'model = "m"',
    'model_provider = "lms"',
    `model_catalog_json = "${join(home, "catalog.json")}"`,
    "[model_providers.lms]",
    'name = "lms API"',
    `base_url = "http://127.0.0.1:${proxy.port}/v1"`,
    'wire_api = "responses"',
  ];
  await writeFile(join(home, "config.toml"), toml.join("\n"));
  await writeFile(join(home, "catalog.json"), JSON.stringify({ models: [model] }));
  const { exitCode, stdout, stderr } = await execa(
    join(import.meta.dirname, "../../node_modules/.bin/codex"),
    ["exec", "--dangerously-bypass-approvals-and-sandbox", "--skip-git-repo-check", "Go."],
    {
      cwd: home,
      env: { HOME: home, CODEX_HOME: home, NO_PROXY: "*" },
      stdin: "ignore",
      reject: false,
      timeout: 60_000,
    },
  );
  const file = await readFile(join(home, "made.txt"), "utf8").catch(() => undefined);
  await rm(home, { recursive: true, force: true });
  const requests = upstream.seen.map(({ body }) => JSON.parse(body) as { input: Json[] });
  return { exitCode, stdout, stderr, file, requests, lastInput: JSON.stringify(requests.at(-1)?.input.at(-1)) };
}

const patch = "*** Begin Patch\n*** Add File: made.txt\n+by a patch\n*** End Patch";

describe.concurrent("Codex", () => {
  it.each([
    ["as it should be", JSON.stringify({ input: patch })],
    ["as an object", { input: patch }],
    ["under another key", JSON.stringify({ patch })],
    ["in a code fence", JSON.stringify({ input: `\`\`\`\n${patch}\n\`\`\`` })],
    ["without an object", patch],
  ])("applies a patch that the model gave %s, once", async (_, args) => {
    const done = await turn([saying(call("apply_patch", args)), saying(text("Done."))]);
    expect(done).toMatchObject({ exitCode: 0, file: "by a patch\n", stdout: "Done." });
    expect(done.requests).toHaveLength(2);
  });

  it.each(["multi_agent_v1__close_agent", "multi_agent_v1.close_agent", "close_agent"])(
    "finds the namespaced tool that the model calls %s",
    async (name) => {
      const { exitCode, lastInput } = await turn([saying(call(name, '{"target":"nobody"}')), saying(text("Done."))]);
      expect(exitCode).toBe(0);
      expect(lastInput).toContain("function_call_output");
      expect(lastInput).not.toContain("unsupported call");
    },
  );

  it("runs a command whose arguments are an object, and whose end LM Studio leaves out", async () => {
    const events = lmStudio([call("exec_command", { cmd: "echo made > made.txt" })]);
    const unfinished = events.filter(({ type }) => type !== "response.output_item.done");
    const done = await turn([streamed(unfinished), saying(text("Done."))]);
    expect(done).toMatchObject({ exitCode: 0, file: "made\n" });
  });

  it("has the answer that stopped at the limit of tokens, and no error", async () => {
    const events = lmStudio([text("So far.")], {
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
    });
    const last = { ...(events.at(-1) as Json), type: "response.incomplete" };
    expect(await turn([streamed([...events.slice(0, -1), last])])).toMatchObject({ exitCode: 0, stdout: "So far." });
  });

  it("has the answer that came as a document, and one whose token counts it could not read", async () => {
    const document: Answer = (response) =>
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(responseOf([text("Whole.")])));
    expect(await turn([document])).toMatchObject({ exitCode: 0, stdout: "Whole." });
    const usage = { input_tokens: 1, output_tokens: 2, input_tokens_details: {} };
    const counted = await turn([streamed(lmStudio([text("Counted.")], { usage }))]);
    expect(counted).toMatchObject({ exitCode: 0, stdout: "Counted." });
    expect(counted.requests).toHaveLength(1);
  });

  it.each([
    ["in the stream", failing("Input does not fit in context length. The input has 31430 tokens")],
    [
      "before it",
      refusing(400, { error: "Engine protocol predict stream returned an error: Context size has been exceeded." }),
    ],
  ])("says that there is no more room when LM Studio says so %s, and asks once", async (_, answer) => {
    const { exitCode, stderr, requests } = await turn([answer]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("ran out of room in the model's context window");
    expect(requests).toHaveLength(1);
  });

  it.each([
    ["in the stream", failing("failed to parse grammar")],
    ["before it", refusing(500, { error: "failed to parse grammar" })],
    ["as a model that is not there", refusing(404, { error: { message: "failed to parse grammar" } })],
  ])("shows at once what cannot succeed, said %s", async (_, answer) => {
    const { exitCode, stderr, requests } = await turn([answer]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("failed to parse grammar");
    expect(requests).toHaveLength(1);
  });

  it.each([
    ["a crash in the stream", failing("The model has crashed without additional information. (Exit code: 6)")],
    ["a crash before it", refusing(400, { error: "The model has crashed without additional information." })],
    ["an answer that just stops", streamed(lmStudio([text("Half an ans")]).slice(0, 5))],
  ])("asks again after %s, and comes to its end", async (_, answer) => {
    const { exitCode, stdout, requests } = await turn([answer, saying(text("Done."))]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("Done.");
    expect(requests).toHaveLength(2);
  });

  it("has its answer behind heartbeats", async () => {
    const late: Answer = (...all) => void setTimeout(() => saying(text("Late."))(...all), 300);
    expect(await turn([late], { heartbeatSeconds: 0.05 })).toMatchObject({ exitCode: 0, stdout: "Late." });
  });
});
