/** A tool's call and its result, there and back, as Codex does it. The command is never run: the proof itself says what it printed. */
import * as z from "zod";
import { parsed, type Spoken } from "./dialect.ts";
import type { Fault } from "./judge.ts";

const name = "exec_command";
export const secretNumber = "58213";
export const question =
  "Use the tool exec_command to run the command `cat number.txt`. Then tell me the number that the command printed.";

const tool = {
  type: "function",
  name,
  description: "Runs a command in a shell and returns what it prints.",
  parameters: {
    type: "object",
    properties: { cmd: { type: "string", description: "The command to run" } },
    required: ["cmd"],
    additionalProperties: false,
  },
} as const;

type Call = Spoken["calls"][number];

export const callBody = (model: string, tokens: number) => ({
  model,
  input: [{ type: "message", role: "user", content: question }],
  tools: [tool],
  tool_choice: "auto",
  max_output_tokens: tokens,
  stream: true,
  store: false,
});

export const resultBody = (model: string, tokens: number, call: Call) => ({
  ...callBody(model, tokens),
  input: [
    { type: "message", role: "user", content: question },
    { type: "function_call", call_id: call.id, name: call.name, arguments: call.arguments },
    { type: "function_call_output", call_id: call.id, output: `Exit code: 0\nOutput:\n${secretNumber}` },
  ],
});

const arguments_ = z.looseObject({ cmd: z.string() });

const weak = (found: string): Fault => ({ check: "tools", verdict: "weak", found });

/** The call that was hoped for, or why there is none. */
export function callOf(spoken: Spoken): { readonly call: Call } | { readonly fault: Fault } {
  const [call] = spoken.calls;
  if (call === undefined) return { fault: weak("the model called no tool") };
  if (call.name !== name) return { fault: weak(`the model called a tool that it was not given: ${call.name}`) };
  if (!arguments_.safeParse(parsed(call.arguments)).success)
    return { fault: weak(`the model's arguments do not fit the tool: ${call.arguments.slice(0, 120)}`) };
  // The name by which a result is sent back is the server's to give, not the model's.
  if (call.id === "") return { fault: { check: "tools", verdict: "failed", found: "the call came without a call_id" } };
  return { call };
}

export const resultFault = ({ text }: Spoken): Fault | null =>
  text.includes(secretNumber) ? null : weak("the model's answer does not use the tool's result");
