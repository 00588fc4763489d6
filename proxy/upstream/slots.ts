/** How many requests a model may have upstream: what the configuration says, and never more than LM Studio has. */
import type { Logger } from "pino";
import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import type { Catalog } from "./catalog.ts";

/** Undefined when neither knows: then nothing limits but LM Studio itself. */
export function slotsOf(models: ProxyConfig["models"], catalog: Catalog, model: string): number | undefined {
  const own = Object.hasOwn(models, model) ? models[model] : models["*"];
  const declared = own?.slots;
  const parallel = catalog.known(model)?.parallel;
  if (declared === undefined || parallel === undefined) return declared ?? parallel;
  return Math.min(declared, parallel);
}

/** Tells once for each pair of numbers that configuration and LM Studio do not agree. */
export function slotMismatchTeller(log: Logger): (models: ProxyConfig["models"], catalog: Catalog) => void {
  const told = new Map<string, string>();
  return (models, catalog) => {
    for (const [model, { slots }] of Object.entries(models)) {
      const parallel = catalog.known(model)?.parallel;
      if (slots === undefined || parallel === undefined || slots === parallel) continue;
      const pair = `${slots}/${parallel}`;
      if (told.get(model) === pair) continue;
      told.set(model, pair);
      log.warn(
        { model, slots, parallel },
        `${model}: the configuration says ${slots} slots, LM Studio has loaded it with ${parallel}; the smaller number holds. "pulumi up" makes them agree`,
      );
    }
  };
}
