/**
 * What answers have taught about switching a model's thinking off on the chat endpoints, where LM Studio's own list of options says nothing:
 * sideloaded models are not always recognised (lmstudio-bug-tracker #1613 #2195). The deployment's proof sends its requests through the proxy,
 * so that it is the first to teach.
 */
import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import { type ReasoningOptions, type Strategy, strategyFor } from "./policy.ts";

const ladder: readonly Strategy[] = [
  { effort: true, prefill: false },
  { effort: false, prefill: true },
  { effort: true, prefill: true },
];
/** Names come from clients: more models than a host can have are not remembered. */
const mostModels = 256;

export class StrategyMemory {
  readonly #rungs = new Map<string, number>();

  strategy(noThink: ProxyConfig["noThink"], model: string | undefined, options: ReasoningOptions): Strategy {
    const rung = model === undefined ? undefined : this.#rungs.get(model);
    if (noThink !== "auto" || options !== undefined || rung === undefined) return strategyFor(noThink, options);
    return ladder[rung] as Strategy;
  }

  /** The model thought although `strategy` was in the request: the next one goes another way. */
  thought(model: string, strategy: Strategy): void {
    const tried = ladder.findIndex(({ effort, prefill }) => effort === strategy.effort && prefill === strategy.prefill);
    if (this.#rungs.size >= mostModels && !this.#rungs.has(model)) return;
    this.#rungs.set(model, (tried + 1) % ladder.length);
  }
}
