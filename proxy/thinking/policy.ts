import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";

export type Thinking = ProxyConfig["models"][string]["thinking"];

/** The policy of the model that a request names; `*` stands for every model that has none of its own. Off when nothing is said. */
export function thinkingFor(models: ProxyConfig["models"], model: string | undefined): Thinking {
  if (model !== undefined && Object.hasOwn(models, model)) return models[model]?.thinking ?? "off";
  return models["*"]?.thinking ?? "off";
}

/** What LM Studio says about a model's switch; undefined when it says nothing (sideloaded models are not always recognised). */
export type ReasoningOptions = readonly string[] | undefined;

export interface Strategy {
  readonly effort: boolean;
  readonly prefill: boolean;
}

/** As the configuration's `noThink` names them. */
export const strategies = {
  effort: { effort: true, prefill: false },
  prefill: { effort: false, prefill: true },
  both: { effort: true, prefill: true },
} as const satisfies Record<Exclude<ProxyConfig["noThink"], "auto">, Strategy>;

export type StrategyName = keyof typeof strategies;

export const isStrategyName = (value: unknown): value is StrategyName =>
  typeof value === "string" && Object.hasOwn(strategies, value);

export const nameOf = ({ effort, prefill }: Strategy): StrategyName =>
  prefill ? (effort ? "both" : "prefill") : "effort";

/** `auto` uses the effort field, which LM Studio honours, except for a model whose own list of options has no way to say "off". */
export function strategyFor(noThink: ProxyConfig["noThink"], options: ReasoningOptions): Strategy {
  if (noThink === "auto") {
    const prefill = options !== undefined && !options.includes("off") && !options.includes("none");
    return prefill ? strategies.prefill : strategies.effort;
  }
  return strategies[noThink];
}
