/** What the model of a scenario sees and does: it looks at its task and at what its tools have given so far, as a real one does. */
import type { Piece } from "../lmstudio-sim/engine/engine.ts";
import { words } from "../lmstudio-sim/engine/plan.ts";
import type { Agent } from "../lmstudio-sim/model.ts";

export interface View {
  /** What the user wants: the last of the user's messages that Codex did not write itself. */
  readonly task: string;
  /** What tools have given since. */
  readonly outputs: readonly string[];
  /** The whole conversation as text, system messages left out. */
  readonly said: string;
  /** An image has come since. */
  readonly sees: boolean;
}

/** Does one step: the answer in words, the calls, or both. */
export type Model = (view: View) => readonly Piece[];

export const say = (text: string): Piece[] => words(text).map((word) => ({ kind: "text", text: word }));

export const call = (name: string, given: unknown): Piece => ({
  kind: "tool",
  name,
  arguments: JSON.stringify(given),
});

/** A command that leaves a line in `effects.log`, so that a step done twice is seen. */
export const leave = (line: string, before = "true"): Piece =>
  call("exec_command", { cmd: `${before} && echo ${line} >> effects.log` });

/** One step for each output that has come; words come before each call, for an answer to be cut in the middle of them. */
export const inSteps =
  (...steps: readonly ((view: View) => readonly Piece[])[]): Model =>
  (view) => {
    const step = steps[view.outputs.length];
    if (step === undefined) return say("There is nothing left to do.");
    const pieces = step(view);
    return pieces.some(({ kind }) => kind === "tool") ? [...say(talk), ...pieces] : pieces;
  };

const talk = "I look at what there is and do the next thing that has to be done now.";

/** Codex asks for a title beside the first turn of its terminal interface. */
export const titleRequest = "Generate a concise, single-line task title";
export const compactionRequest = "You are performing a CONTEXT CHECKPOINT COMPACTION";
/** What a neighbour of Codex asks for. */
export const neighbourTask = "keep the slot busy";

export const asAgent =
  (model: Model): Agent =>
  ({ messages }) => {
    const spoken = messages.filter(({ role }) => role !== "system");
    // Codex's own words to the model come as the user's, in tags.
    const last = spoken.findLastIndex(({ role, text, image }) => role === "user" && !text.startsWith("<") && !image);
    const task = spoken[last]?.text ?? "";
    if (task.startsWith(titleRequest)) return say('{"title":"Do what was asked"}');
    if (task.startsWith(neighbourTask)) return undefined;
    const outputs = spoken.slice(last + 1).flatMap(({ role, text }) => (role === "tool" ? [text] : []));
    const sees = spoken.slice(last + 1).some(({ image }) => image);
    return model({ task, outputs, sees, said: spoken.map(({ text }) => text).join("\n") });
  };
