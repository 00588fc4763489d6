/** What is read from the real Codex's words, which are as Codex 0.169.0 wrote them, cut to what counts. */
import { expect, test } from "vitest";
import { type CodexTurn, readTurn } from "../../fleet-runs/codex-turn.ts";
import { wrongWithCodex } from "../../fleet-runs/judge.ts";
import { scripts } from "../../fleet-runs/models.ts";
import { codexRows } from "../../fleet-runs/rollout.ts";

const answerOf = (count = 0) => Array.from({ length: count }, (_, index) => `word${index + 1}`).join(" ");
const byA = answerOf(scripts.A.answerTokens);
const declared = [{ model: "A", from: 0, to: 2000 }] as const;

const command = {
  type: "item.completed",
  item: { id: "item_0", type: "command_execution", aggregated_output: "lmstack-step-1\n", exit_code: 0 },
};
const said = (...events: object[]): string =>
  [{ type: "thread.started", thread_id: "t-1" }, { type: "turn.started" }, ...events]
    .map((event) => JSON.stringify(event))
    .join("\n");
const answer = said(
  command,
  { type: "item.completed", item: { id: "item_1", type: "agent_message", text: byA } },
  { type: "turn.completed", usage: { input_tokens: 1070, output_tokens: 15 } },
);
const asked = (status: number, attempt: number): string =>
  `2026-11-28T14:30:36.525889Z  INFO turn{model=coder}: codex_otel.trace_safe: event.name="codex.api_request" duration_ms=13 http.response.status_code=${status} attempt=${attempt} auth.header_attached=true endpoint="/responses" model=coder`;
const log = [asked(200, 0), asked(200, 0)].join("\n");
const turn = (ending: Parameters<typeof readTurn>[0]): CodexTurn => ({
  ...readTurn(ending),
  ...{ user: 0, began: 1000, ended: 1500 },
});

test("a turn with a command and the answer of a declared model is right", () => {
  const whole = turn({ exitCode: 0, answer, log });
  expect(whole).toMatchObject({ thread: "t-1", text: byA, calls: 1, errors: [], requests: 2, again: 0 });
  expect(wrongWithCodex(whole, declared)).toBeNull();
});

const reconnect = { type: "error", message: "Reconnecting... 1/5 (unexpected status 502 Bad Gateway)" };
const failed = { type: "turn.failed", error: { message: "stream closed before response.completed" } };
const nothing = { type: "item.completed", item: { type: "agent_message", text: `${byA} word15` } };

test.each<[string, Parameters<typeof readTurn>[0]]>([
  ["exit 1: stream closed before", { exitCode: 1, answer: said(failed), log }],
  [
    "exit 1: Error: thread/resume: thread/resume failed",
    { exitCode: 1, answer: "", log: "Error: thread/resume: thread/resume failed" },
  ],
  ["it hung", { exitCode: null, answer: "", log }],
  ["it showed: Reconnecting... 1/5", { exitCode: 0, answer: `${answer}\n${JSON.stringify(reconnect)}`, log }],
  [
    "it showed: 2026-11-28T14:30:36Z ERROR codex_core",
    { exitCode: 0, answer, log: `${log}\n2026-11-28T14:30:36Z ERROR codex_core: lost` },
  ],
  ["it called no tool", { exitCode: 0, answer: said(nothing), log }],
  ["an answer of nobody", { exitCode: 0, answer: said(command, nothing), log }],
  ["its log tells of 0 requests", { exitCode: 0, answer, log: "" }],
])("it says of a turn: %s", (words, ending) => {
  expect(wrongWithCodex(turn(ending), declared)).toContain(words);
});

test("a turn that Codex repairs without a word counts all the same", () => {
  const repaired = turn({ exitCode: 0, answer, log: [asked(502, 0), asked(200, 1), asked(200, 0)].join("\n") });
  const again = (turns: CodexTurn[]) => codexRows(turns, declared).find(({ name }) => name.includes("again"));
  expect(again([repaired])).toMatchObject({ value: 1, ok: false });
  expect(again([turn({ exitCode: 0, answer, log })])).toMatchObject({ value: 0, ok: true });
});

test("somebody who has never resumed a thread has had no conversation", () => {
  const everybody = Array.from({ length: 6 }, (_, user) => ({
    ...turn({ exitCode: 0, answer, log }),
    user,
    thread: `t-${user}`,
  }));
  const held = (turns: CodexTurn[]) => codexRows(turns, declared)[0]?.ok;
  expect(held([...everybody, ...everybody])).toBe(true);
  expect(held([...everybody, ...everybody.slice(1)])).toBe(false);
});
