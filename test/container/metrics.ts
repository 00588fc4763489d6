/** One number of the proxy's metrics. */
import { teamKey } from "./keys.ts";

export async function metricsOf({ url }: { readonly url: string }): Promise<string> {
  return await (await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${teamKey}` } })).text();
}

/** Of a gauge with a model as its only label; 0 where there is none. */
export async function gauge(proxy: { readonly url: string }, name: string, model: string): Promise<number> {
  const line = (await metricsOf(proxy)).split("\n").find((text) => text.startsWith(`${name}{model="${model}"}`));
  return Number(line?.split(" ").at(-1) ?? 0);
}
