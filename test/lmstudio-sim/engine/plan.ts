/** What a scripted model will say, decided from the request alone: same request, same answer. */
import type { Agent, Script } from "../model.ts";
import type { Generation, Message, Piece } from "./engine.ts";

const musings = [
  "The",
  "user",
  "wants",
  "something,",
  "so",
  "let",
  "me",
  "weigh",
  "it",
  "once",
  "more",
  "before",
  "I",
  "answer.",
  "Hmm,",
];

/** `sim:tokens=500` and the like in the last user message. */
function directives(messages: readonly Message[]): Readonly<Record<string, number>> {
  const last = messages.findLast((message) => message.role === "user");
  const found: Record<string, number> = {};
  for (const match of (last?.text ?? "").matchAll(/\bsim:([a-z]+)=(\d+)/g))
    found[match[1] as string] = Number(match[2]);
  return found;
}

export function scriptFor(script: Script, messages: readonly Message[]): Script {
  const said = directives(messages);
  return {
    ...script,
    thinkTokens: said.think ?? script.thinkTokens,
    answerTokens: said.tokens ?? script.answerTokens,
    tokenMs: said.pace ?? script.tokenMs,
    prefillMs: said.prefill ?? script.prefillMs,
    toolSteps: said.steps ?? script.toolSteps,
  };
}

export function* plan(script: Script, request: Omit<Generation, "signal">, agent?: Agent): Generator<Piece> {
  if (request.thinks) {
    for (let index = 0; index < script.thinkTokens; index += 1) {
      yield { kind: "reasoning", text: `${index === 0 ? "" : " "}${musings[index % musings.length] as string}` };
    }
  }
  const acts = agent?.(request);
  if (acts !== undefined) return void (yield* acts);
  const call = toolCall(script, request);
  if (call !== null) yield call;
  else for (const text of words(answer(script, request.messages))) yield { kind: "text", text };
}

/** Tool outputs that arrived since the user last spoke: the steps already done. */
function outputs(messages: readonly Message[]): string[] {
  const lastUser = messages.findLastIndex((message) => message.role === "user");
  return messages.slice(lastUser + 1).flatMap((message) => (message.role === "tool" ? [message.text] : []));
}

function toolCall(script: Script, request: Omit<Generation, "signal">): Piece | null {
  if (request.toolChoice === "none") return null;
  const step = outputs(request.messages).length + 1;
  if (request.tools.some((tool) => tool.name === "exec_command")) {
    if (step > script.toolSteps) return null;
    return { kind: "tool", name: "exec_command", arguments: JSON.stringify({ cmd: `echo lmstack-step-${step}` }) };
  }
  const forced =
    request.toolChoice === "required"
      ? request.tools[0]?.name
      : request.tools.find((tool) => tool.name === request.toolChoice)?.name;
  return forced === undefined || step > 1 ? null : { kind: "tool", name: forced, arguments: "{}" };
}

function answer(script: Script, messages: readonly Message[]): string {
  if (script.answerTokens > 0)
    return Array.from({ length: script.answerTokens }, (_, index) => `word${index + 1}`).join(" ");
  const done = outputs(messages);
  if (done.length > 0) {
    const printed = done.map((output) => (output.split("Output:\n").at(-1) ?? "").trim().split("\n")[0] ?? "");
    return `Done in ${done.length} ${done.length === 1 ? "step" : "steps"}. The last command printed: ${printed.at(-1) || "nothing"}`;
  }
  const asked =
    messages
      .findLast((message) => message.role === "user")
      ?.text.trim()
      .replaceAll(/\s+/g, " ") ?? "";
  return `You said: ${asked.slice(0, 120) || "nothing"}`;
}

/** One word with the space before it is one token. */
export const words = (text: string): string[] => text.match(/\s*\S+/g) ?? [];
