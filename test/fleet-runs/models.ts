/** The models that a rollout is about: files of one identifier, each told from the others by the length of its answers, which are short because an `up` asks for many. */
import type { Script } from "../lmstudio-sim/model.ts";

/** What clients ask for, whichever file answers. */
export const modelId = "coder";

export const modelNames = ["A", "B", "thinks", "slow", "crashes"] as const;
export type ModelName = (typeof modelNames)[number];

/** Only "thinks" thinks, and does whatever it is told once the trap `thinksAnyway` is sprung. */
export const scripts: Readonly<Record<ModelName, Partial<Script>>> = {
  A: { thinks: false, answerTokens: 14, tokenMs: 20 },
  B: { thinks: false, answerTokens: 17, tokenMs: 20 },
  thinks: { thinks: true, answerTokens: 19, tokenMs: 20 },
  slow: { thinks: false, answerTokens: 11, tokenMs: 120 },
  crashes: { thinks: false, answerTokens: 23, tokenMs: 20, crashAtRequest: 3 },
};

const answerOf = (name: ModelName): string =>
  Array.from({ length: scripts[name].answerTokens ?? 0 }, (_, index) => `word${index + 1}`).join(" ");

const byAnswer: ReadonlyMap<string, ModelName> = new Map(modelNames.map((name) => [answerOf(name), name]));

/** Whose whole answer this is; null when it is nobody's. */
export const modelOf = (text: string): ModelName | null => byAnswer.get(text) ?? null;
