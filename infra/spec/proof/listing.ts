/** What LM Studio itself says that it has loaded (`/api/v1/models`, since 0.4.0). */
import * as z from "zod";
import type { ProvedModel } from "./dialect.ts";
import { parsed } from "./dialect.ts";
import type { Fault } from "./judge.ts";

const listing = z.object({
  models: z.array(
    z.object({
      loaded_instances: z
        .array(z.object({ id: z.string(), config: z.object({ context_length: z.number().nullish() }).nullish() }))
        .nullish(),
      capabilities: z
        .object({
          trained_for_tool_use: z.boolean().nullish(),
          reasoning: z.object({ allowed_options: z.array(z.string()).nullish() }).nullish(),
        })
        .nullish(),
    }),
  ),
});

export interface Listed {
  readonly contextLength: number | null;
  /** Null when LM Studio does not say. */
  readonly trainedForToolUse: boolean | null;
  readonly switchesOff: boolean;
}

/** `unknown`: it does not say, because it is older or the list is not served here. */
export function listedModel(body: string, id: string): Listed | "absent" | "unknown" {
  const { data } = listing.safeParse(parsed(body));
  if (data === undefined) return "unknown";
  for (const { loaded_instances, capabilities } of data.models) {
    const instance = loaded_instances?.find((one) => one.id === id);
    if (instance === undefined) continue;
    return {
      contextLength: instance.config?.context_length ?? null,
      trainedForToolUse: capabilities?.trained_for_tool_use ?? null,
      switchesOff: capabilities?.reasoning?.allowed_options?.includes("off") === true,
    };
  }
  return "absent";
}

export function listedFault(
  { contextLength: declared }: ProvedModel,
  listed: Listed | "absent" | "unknown",
): Fault | null {
  if (listed === "unknown") return null;
  const failed = (found: string): Fault => ({ check: "loaded", verdict: "failed", found });
  if (listed === "absent") return failed("LM Studio has no loaded instance of that name");
  const { contextLength } = listed;
  if (declared === undefined || contextLength === null || contextLength === declared) return null;
  return failed(`it is loaded with context ${contextLength} instead of ${declared}`);
}
