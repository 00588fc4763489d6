/** What clients of a fleet noticed: pure, so that the judge itself is tested. */
import type { CodexTurn } from "./codex-turn.ts";
import type { Turn } from "./conversations.ts";
import { type ModelName, modelOf } from "./models.ts";

/** When which model was declared somewhere, in ms since the epoch; both ends count. */
export interface Declared {
  readonly model: ModelName;
  readonly from: number;
  readonly to: number;
}

/** What is wrong with a request; null when it was answered whole, by a model that was declared while it ran. */
export function wrongWith(turn: Turn, declared: readonly Declared[]): string | null {
  const { status, end, words, thoughts, called } = turn;
  if (end !== "complete") return `${end} with status ${status}: ${words}`;
  if (thoughts > 0) return `it thought: ${thoughts} tokens`;
  return called ? null : wrongAnswer(turn, declared);
}

/** What is wrong with a turn of the real Codex: it ends well, with a tool called on the way, shows no error, and the answer is as above. */
export function wrongWithCodex(turn: CodexTurn, declared: readonly Declared[]): string | null {
  const { exitCode, errors, requests, calls } = turn;
  if (exitCode !== 0) return `${exitCode === null ? "it hung" : `exit ${exitCode}`}: ${errors.join(", ")}`;
  if (errors.length > 0) return `it showed: ${errors.join(", ")}`;
  if (calls === 0) return "it called no tool";
  // As many as there are answers, or its log is not what we take it for.
  if (requests < calls + 1) return `its log tells of ${requests} requests`;
  return wrongAnswer(turn, declared);
}

function wrongAnswer(
  { text, began, ended }: Pick<Turn, "text" | "began" | "ended">,
  declared: readonly Declared[],
): string | null {
  const model = modelOf(text);
  if (model === null) return `an answer of nobody: ${JSON.stringify(text.slice(-80))}`;
  return declared.some((one) => one.model === model && one.from <= ended && began <= one.to)
    ? null
    : `${model} answered, which was not declared then`;
}

/** Answers by model, those that only called a tool left out. */
export function answersBy(turns: readonly Pick<Turn, "text" | "called">[]): Partial<Record<ModelName, number>> {
  const counted: Partial<Record<ModelName, number>> = {};
  for (const { text, called } of turns) {
    const model = called ? null : modelOf(text);
    if (model !== null) counted[model] = (counted[model] ?? 0) + 1;
  }
  return counted;
}

/** Each kind once, with how often it was. */
export function summed(faults: readonly string[]): string {
  const counted = new Map<string, number>();
  for (const fault of faults) counted.set(fault, (counted.get(fault) ?? 0) + 1);
  return [...counted].map(([fault, times]) => (times === 1 ? fault : `${fault} (${times} times)`)).join("; ");
}
