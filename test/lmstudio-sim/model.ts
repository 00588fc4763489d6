/** A model as LM Studio knows it: a file on disk, and what its header says. */

import type { Generation, Piece } from "./engine/engine.ts";

/** How a scripted model behaves. Any user message can override a figure with words such as `sim:tokens=500` or `sim:steps=2`. */
export interface Script {
  /** The model thinks unless thinking is switched off in a way that LM Studio honours. */
  readonly thinks: boolean;
  /** Tokens of thinking. */
  readonly thinkTokens: number;
  /** Tokens of an answer for which nothing more natural exists; 0 means a sentence. */
  readonly answerTokens: number;
  /** Pace of the answer, in ms per token. */
  readonly tokenMs: number;
  /** Time before the first token, in ms: prompt processing. */
  readonly prefillMs: number;
  /** Tool calls before the answer, when the request offers `exec_command`. */
  readonly toolSteps: number;
  /** It takes images. */
  readonly vision: boolean;
  /** It says that it was trained for tools. */
  readonly tools: boolean;
  /** The whole process dies when a load of it is asked for the Nth time; 0 is never. */
  readonly crashAtRequest: number;
}

/** What a test makes of a conversation; undefined leaves it to the script. */
export type Agent = (request: Omit<Generation, "signal">) => Iterable<Piece> | undefined;

export const defaultScript: Script = {
  thinks: true,
  thinkTokens: 200,
  answerTokens: 0,
  tokenMs: 2,
  prefillMs: 0,
  toolSteps: 1,
  vision: false,
  tools: true,
  crashAtRequest: 0,
};

export interface DownloadedModel {
  /** Short name, unique among the downloaded: what `ls` shows and clients may ask for. */
  readonly modelKey: string;
  /** Relative to the models folder: `publisher/repo/file.gguf`, of an MLX model `publisher/repo`. `lms load --exact` compares with this one. */
  readonly path: string;
  readonly format: "gguf" | "safetensors";
  /** Absolute path of the file, or of the folder of an MLX model. */
  readonly file: string;
  readonly publisher: string;
  readonly displayName: string;
  readonly architecture: string;
  readonly quantization: { readonly name: string; readonly bits: number };
  readonly sizeBytes: number;
  readonly maxContextLength: number;
  /** Present for a model that the script engine plays; a real GGUF has none. */
  readonly script: Script | null;
  /** Decides in the script's place. */
  readonly agent?: Agent;
}
