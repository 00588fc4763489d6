/** A tiny file with a true GGUF header, or a folder as MLX models are, that the stand-in plays from a script. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Script } from "../model.ts";
import { writeHeader } from "./header.ts";

/** Header key that makes a file a scripted one; its value is the script as JSON. */
export const scriptKey = "lmstudio_sim.script";

export interface ScriptModel extends Partial<Script> {
  readonly name: string;
  readonly architecture?: string;
  /** What the file says it was trained for. Default 262,144. */
  readonly contextLength?: number;
  /** Pads the file with zeros up to this size. */
  readonly sizeBytes?: number;
}

/** Same options, same bytes. */
export async function writeScriptModel(path: string, options: ScriptModel): Promise<void> {
  const { name, architecture = "qwen3", contextLength = 262_144, sizeBytes = 0, ...script } = options;
  const header = writeHeader({
    "general.architecture": architecture,
    "general.name": name,
    "general.file_type": 15,
    [`${architecture}.context_length`]: contextLength,
    [scriptKey]: JSON.stringify(script, Object.keys(script).sort()),
  });
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, Buffer.concat([header, Buffer.alloc(Math.max(0, sizeBytes - header.length))]));
}

/** Same options, same bytes. */
export async function writeScriptFolder(folder: string, options: Omit<ScriptModel, "sizeBytes">): Promise<void> {
  const { name: _, architecture = "qwen3", contextLength = 262_144, ...script } = options;
  const config = { model_type: architecture, max_position_embeddings: contextLength, quantization: { bits: 4 } };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "config.json"), JSON.stringify({ ...config, [scriptKey]: script }));
  await writeFile(join(folder, "tokenizer.json"), "{}");
  await writeFile(join(folder, "model.safetensors"), `tensors of ${options.name}`);
}
