/** What LM Studio's own HTTP server tells, without a call of `lms`: these never start a daemon. */
import { errno } from "../failure.ts";
import { send } from "../http.ts";
import type { LoadedInstance } from "./lms.ts";

export type Greeting = "yes" | "no" | "silent";

/** `silent`: connected but no answer in time; a busy server does that, so it is not proof of death. */
export async function greeting(port: number, timeoutMs = 1500): Promise<Greeting> {
  try {
    const answer = (await getJson(port, "/lmstudio-greeting", timeoutMs)) as { lmstudio?: boolean } | null;
    return answer?.lmstudio === true ? "yes" : "no";
  } catch (error) {
    return errno(error) === "ABORT_ERR" ? "silent" : "no";
  }
}

interface Listing {
  readonly models?: readonly {
    readonly loaded_instances?: readonly {
      readonly id: string;
      readonly config?: { readonly context_length?: number; readonly parallel?: number };
    }[];
  }[];
}

/** Null when the server did not say: unknown paths answer 200 with an error body, so the shape decides. */
export async function instances(port: number, timeoutMs = 3000): Promise<readonly LoadedInstance[] | null> {
  try {
    const answer = (await getJson(port, "/api/v1/models", timeoutMs)) as Listing | null;
    if (Array.isArray(answer?.models)) {
      return answer.models.flatMap((model: NonNullable<Listing["models"]>[number]) =>
        (model.loaded_instances ?? []).map((instance) => ({
          identifier: instance.id,
          contextLength: instance.config?.context_length ?? null,
          parallel: instance.config?.parallel ?? null,
          path: null,
        })),
      );
    }
    const older = (await getJson(port, "/api/v0/models", timeoutMs)) as {
      data?: { id: string; state?: string; loaded_context_length?: number }[];
    } | null;
    if (!Array.isArray(older?.data)) return null;
    return older.data
      .filter((model) => model.state === "loaded")
      .map((model) => ({
        identifier: model.id,
        contextLength: model.loaded_context_length ?? null,
        parallel: null,
        path: null,
      }));
  } catch {
    return null;
  }
}

/** Null for a body that is not JSON. */
async function getJson(port: number, path: string, timeoutMs: number): Promise<unknown> {
  const { body } = await send({ host: "127.0.0.1", port }, "GET", path, null, timeoutMs);
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}
