import { join } from "node:path";
import * as z from "zod";
import type { ProvedModel } from "../../infra/spec/proof/dialect.ts";
import { readJson } from "../atomic-file.ts";
import type { Host } from "../host.ts";

const told = z.object({
  models: z.record(z.string(), z.object({ thinking: z.enum(["off", "on", "client"]).default("off") })),
});

/**
 * A model as its clients get it: whether it may think is the proxy's to say. Its context is what is declared of it now, which an `up` writes into the
 * proxy's file only later.
 */
export async function provedModel(host: Host, id: string, contextLength: number): Promise<ProvedModel> {
  const { data } = told.safeParse(await readJson(join(host.paths.proxy, "proxy.json")));
  const { thinking } = data?.models[id] ?? data?.models["*"] ?? { thinking: "off" as const };
  return { id, thinking, contextLength };
}
