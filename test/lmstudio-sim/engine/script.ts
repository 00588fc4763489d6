/** The deterministic engine: says what `plan` decided, at the pace that the model's script sets. */
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { type Agent, defaultScript, type Script } from "../model.ts";
import type { Engine, Generation, Message, Piece, Session } from "./engine.ts";
import { plan, scriptFor, words } from "./plan.ts";

export const scriptEngine: Engine = {
  async load(model): Promise<Session> {
    const script = model.script ?? defaultScript;
    let asked = 0;
    return {
      countTokens: countWords,
      generate: (request) => {
        asked += 1;
        if (asked === script.crashAtRequest) process.kill(process.pid, "SIGKILL");
        return paced(request, scriptFor(script, request.messages), model.agent);
      },
      close: async () => {},
    };
  },
};

/** Words plus a few tokens of template per message: near enough to a tokenizer for context arithmetic. */
function countWords(messages: readonly Message[]): number {
  return messages.reduce((sum, message) => sum + words(message.text).length + 4, 0);
}

async function* paced(request: Generation, script: Script, agent: Agent | undefined): AsyncGenerator<Piece> {
  const { signal } = request;
  try {
    if (script.prefillMs > 0) await delay(script.prefillMs, undefined, { signal });
    const began = performance.now();
    let made = 0;
    for (const piece of plan(script, request, agent)) {
      // Against the clock, not per token: timers are coarse, and a slow consumer must not slow the model's own pace.
      const wait = began + made * script.tokenMs - performance.now();
      if (wait >= 1) await delay(wait, undefined, { signal });
      else if (made % 16 === 15) await nextTurn();
      if (signal.aborted) return;
      yield piece;
      made += 1;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
