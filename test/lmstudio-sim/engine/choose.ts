/** A scripted file is played from its script; anything else is a real GGUF. */
import type { DownloadedModel } from "../model.ts";
import type { Engine } from "./engine.ts";
import { llamaEngine } from "./llama.ts";
import { scriptEngine } from "./script.ts";

export const engineOf = (model: DownloadedModel): Engine => (model.script === null ? llamaEngine : scriptEngine);
