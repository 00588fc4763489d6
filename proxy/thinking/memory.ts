/**
 * What answers have taught about switching a model's thinking off on the chat endpoints, where LM Studio's own list of options says nothing:
 * sideloaded models are not always recognised (lmstudio-bug-tracker #1613 #2195). The deployment's proof sends its requests through the proxy,
 * so that it is the first to teach.
 */
import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import type { Learned } from "./learned-file.ts";
import { nameOf, type ReasoningOptions, type Strategy, type StrategyName, strategies, strategyFor } from "./policy.ts";

export const effortAlone: Strategy = strategies.effort;
const ladder: readonly StrategyName[] = ["effort", "prefill", "both"];
/** Names come from clients: more models than a host can have are not remembered. */
const mostModels = 256;

/** llama.cpp's words for a template that thinks (llama.cpp#21889), and the SDK's for two answers in a row (lmstudio-bug-tracker #1452). */
const prefillRefusal = /prefill|consecutive assistant/i;

export class StrategyMemory {
  readonly #learned: Map<string, StrategyName>;
  readonly #keep: (learned: Learned) => void;
  /**
   * Models for which LM Studio takes no prefill: then a thought has to be cut out rather than prevented. Not kept: another version may take it, and to ask
   * costs one request.
   */
  readonly #refusing = new Set<string>();

  /** `keep` is told all of it whenever something was learned. */
  constructor(learned: Learned = new Map(), keep: (learned: Learned) => void = () => {}) {
    this.#learned = new Map([...learned].slice(0, mostModels));
    this.#keep = keep;
  }

  strategy(noThink: ProxyConfig["noThink"], model: string | undefined, options: ReasoningOptions): Strategy {
    const learned = model === undefined ? undefined : this.#learned.get(model);
    if (noThink !== "auto") return strategyFor(noThink, options);
    if (model !== undefined && this.#refusing.has(model)) return effortAlone;
    return options !== undefined || learned === undefined ? strategyFor(noThink, options) : strategies[learned];
  }

  /** Whether `refusal`, a body of LM Studio's, refuses a prefill; remembered, so that `strategy` has none for this model any more. */
  refusedPrefill(model: string, refusal: Buffer): boolean {
    if (!prefillRefusal.test(refusal.toString())) return false;
    if (this.#refusing.size < mostModels) this.#refusing.add(model);
    return true;
  }

  /** The model thought although `strategy` was in the request: the next one goes another way. */
  thought(model: string, strategy: Strategy): void {
    if (this.#learned.size >= mostModels && !this.#learned.has(model)) return;
    const next = ladder[(ladder.indexOf(nameOf(strategy)) + 1) % ladder.length] as StrategyName;
    if (this.#learned.get(model) === next) return;
    this.#learned.set(model, next);
    this.#keep(this.#learned);
  }
}
