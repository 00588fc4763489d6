/**
 * What answers have taught about switching a model's thinking off on the chat endpoints, where LM Studio's own list of options says nothing:
 * sideloaded models are not always recognised (lmstudio-bug-tracker #1613 #2195). The deployment's proof sends its requests through the proxy,
 * so that it is the first to teach.
 */
import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import { type ReasoningOptions, type Strategy, strategyFor } from "./policy.ts";

export const effortAlone: Strategy = { effort: true, prefill: false };
const ladder: readonly Strategy[] = [effortAlone, { effort: false, prefill: true }, { effort: true, prefill: true }];
/** Names come from clients: more models than a host can have are not remembered. */
const mostModels = 256;

/** llama.cpp's words for a template that thinks (llama.cpp#21889), and the SDK's for two answers in a row (lmstudio-bug-tracker #1452). */
const prefillRefusal = /prefill|consecutive assistant/i;

export class StrategyMemory {
  readonly #rungs = new Map<string, number>();
  /** Models for which LM Studio takes no prefill: then a thought has to be cut out rather than prevented. */
  readonly #refusing = new Set<string>();

  strategy(noThink: ProxyConfig["noThink"], model: string | undefined, options: ReasoningOptions): Strategy {
    const rung = model === undefined ? undefined : this.#rungs.get(model);
    if (noThink !== "auto") return strategyFor(noThink, options);
    if (model !== undefined && this.#refusing.has(model)) return effortAlone;
    return options !== undefined || rung === undefined ? strategyFor(noThink, options) : (ladder[rung] as Strategy);
  }

  /** Whether `refusal`, a body of LM Studio's, refuses a prefill; remembered, so that `strategy` has none for this model any more. */
  refusedPrefill(model: string, refusal: Buffer): boolean {
    if (!prefillRefusal.test(refusal.toString())) return false;
    if (this.#refusing.size < mostModels) this.#refusing.add(model);
    return true;
  }

  /** The model thought although `strategy` was in the request: the next one goes another way. */
  thought(model: string, strategy: Strategy): void {
    const tried = ladder.findIndex(({ effort, prefill }) => effort === strategy.effort && prefill === strategy.prefill);
    if (this.#rungs.size >= mostModels && !this.#rungs.has(model)) return;
    this.#rungs.set(model, (tried + 1) % ladder.length);
  }
}
