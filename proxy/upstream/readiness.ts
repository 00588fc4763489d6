import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import { Fault, upstreamFault } from "../errors/fault.ts";
import type { LoadedModels } from "./catalog.ts";

export interface Readiness {
  readonly ready: boolean;
  /** One sentence: what is missing and what to do. */
  readonly reason: string;
  readonly models: Readonly<Record<string, "loaded" | "not loaded">>;
}

/** The supervisor keeps it loaded. `*` is no model. */
export function isDeclared(models: ProxyConfig["models"], model: string): boolean {
  return model !== "*" && Object.hasOwn(models, model);
}

export const declaredModels = (models: ProxyConfig["models"]): string[] =>
  Object.keys(models).filter((name) => isDeclared(models, name));

/** Ready means that every declared model can answer now. `ask` is the question to LM Studio. */
export async function readiness(
  config: Pick<ProxyConfig, "models" | "upstream">,
  ask: () => Promise<LoadedModels>,
  draining: boolean,
): Promise<Readiness> {
  if (draining)
    return {
      ready: false,
      reason: "This process is ending: it finishes what is running and takes nothing new.",
      models: {},
    };
  let loaded: LoadedModels;
  try {
    loaded = await ask();
  } catch (error) {
    const fault = error instanceof Fault ? error : upstreamFault(error, config.upstream);
    return { ready: false, reason: fault.message, models: {} };
  }
  const declared = declaredModels(config.models);
  const models = Object.fromEntries(
    declared.map((name) => [name, loaded.has(name) ? "loaded" : "not loaded"] as const),
  );
  const missing = declared.filter((name) => !loaded.has(name));
  if (missing.length === 0) return { ready: true, reason: "All declared models are loaded.", models };
  const present = loaded.size === 0 ? "nothing" : [...loaded.keys()].join(", ");
  return {
    ready: false,
    reason: `Not loaded: ${missing.join(", ")}. LM Studio has loaded ${present}. The supervisor loads them; "lmstack status" tells how far it is.`,
    models,
  };
}
