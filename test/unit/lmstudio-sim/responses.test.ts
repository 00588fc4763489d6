import { describe, expect, test } from "vitest";
import { events, off, served, shell } from "./served.ts";

const { post } = served();

describe("/v1/responses", () => {
  test("a stream has the documented events in order, numbered, with usage at the end", async () => {
    const found = await events(await post("/v1/responses", { model: "Thinker", input: "one two", stream: true }));
    const names = found.map(({ data }) => data.type as string).filter((name, index, all) => name !== all[index - 1]);
    expect(names).toEqual([
      "response.created",
      "response.in_progress",
      ...[
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
      ].map((name) => `response.${name}`),
      ...[
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
      ].map((name) => `response.${name}`),
      "response.completed",
    ]);
    expect(found.map(({ data }) => data.sequence_number)).toEqual(found.map((_, index) => index));
    expect(found.every(({ event, data }) => event === data.type)).toBe(true);
    expect(found.at(-1)?.data).toMatchObject({
      response: {
        status: "completed",
        usage: {
          output_tokens: 7,
          output_tokens_details: { reasoning_tokens: 3 },
          input_tokens_details: { cached_tokens: 0 },
        },
        output: [{ type: "reasoning" }, { type: "message", content: [{ text: "You said: one two" }] }],
      },
    });
  });

  test("a call of exec_command comes as arguments.done only, and its output is answered in text", async () => {
    const input: unknown[] = [{ role: "user", content: "go" }];
    const first = await events(
      await post("/v1/responses", { model: "Thinker", input, tools: [shell], stream: true, ...off }),
    );
    const names = first.map(({ data }) => data.type);
    expect(names).toContain("response.function_call_arguments.done");
    expect(names).not.toContain("response.function_call_arguments.delta");
    const call = (
      (first.at(-1) as (typeof first)[0]).data.response as {
        output: { call_id: string; name: string; arguments: string }[];
      }
    ).output[0];
    expect(call).toMatchObject({ type: "function_call", name: "exec_command" });
    expect(JSON.parse(call?.arguments ?? "")).toEqual({ cmd: "echo lmstack-step-1" });
    input.push(call, {
      type: "function_call_output",
      call_id: call?.call_id,
      output: "Wall time: 0.1\nOutput:\nlmstack-step-1\n",
    });
    const second = await (await post("/v1/responses", { model: "Thinker", input, tools: [shell], ...off })).json();
    expect(second).toMatchObject({
      output: [{ content: [{ text: "Done in 1 step. The last command printed: lmstack-step-1" }] }],
    });
  });

  test("the user's words set the number of steps", async () => {
    const input = [
      { role: "user", content: "go sim:steps=2" },
      { type: "function_call", name: "exec_command", arguments: "{}", call_id: "c" },
      { type: "function_call_output", call_id: "c", output: "x" },
    ];
    expect(
      await (await post("/v1/responses", { model: "Thinker", input, tools: [shell], ...off })).json(),
    ).toMatchObject({ output: [{ type: "function_call", arguments: '{"cmd":"echo lmstack-step-2"}' }] });
  });

  test("the chain remembers what was said but not the instructions", async () => {
    const ask = async (extra: object): Promise<{ id: string; usage: { input_tokens: number } }> =>
      (await (await post("/v1/responses", { model: "Thinker", input: "a", ...off, ...extra })).json()) as never;
    const alone = await ask({});
    const first = await ask({ instructions: "be brief" });
    const chained = await ask({ previous_response_id: first.id });
    // Two messages of five tokens (the question twice) and the answer in between, seven; no instructions.
    expect([alone, first, chained].map((answer) => answer.usage.input_tokens)).toEqual([5, 11, 17]);
    expect((await ask({ previous_response_id: first.id, instructions: "be brief" })).usage.input_tokens).toBe(23);
  });

  test("an answer that reaches its limit is incomplete", async () => {
    expect(
      await (await post("/v1/responses", { model: "Thinker", input: "hi", max_output_tokens: 1, ...off })).json(),
    ).toMatchObject({ status: "incomplete", incomplete_details: { reason: "max_output_tokens" } });
  });
});
