/** Whether a version of LM Studio does what the one before did: the same models load, and thinking can still be switched off. */
import { HostFailure } from "../failure.ts";
import { send } from "../http.ts";
import { instances } from "../lmstudio/http.ts";
import { proofFault, readChat, readResponses } from "../prove.ts";

/** What was seen of one version. Faults are null where an answer came without a thought. */
export interface Showing {
  readonly loaded: readonly string[];
  readonly faults: Readonly<Record<string, string | null>>;
}

const answerMs = 180_000;
/** It invites thinking. */
const prompt =
  "A bat and a ball cost 1.10 together, the bat 1.00 more than the ball. What does the ball cost? Be brief.";

const endpoints = {
  "/v1/responses": {
    body: (model: string) => ({
      model,
      input: prompt,
      max_output_tokens: 64,
      reasoning: { effort: "none" },
      store: false,
    }),
    read: readResponses,
  },
  "/v1/chat/completions": {
    body: (model: string) => ({
      model,
      messages: [{ role: "user", content: prompt }],
      max_tokens: 64,
      reasoning_effort: "none",
    }),
    read: readChat,
  },
} as const;

/** Null when no server tells what it has loaded. */
export async function showing(port: number, models: readonly string[]): Promise<Showing | null> {
  const found = await instances(port);
  if (found === null) return null;
  const loaded = models.filter((id) => found.some((instance) => instance.identifier === id));
  const faults: Record<string, string | null> = {};
  for (const id of loaded)
    for (const path of Object.keys(endpoints))
      faults[`${id} on ${path}`] = await ask(port, id, path as keyof typeof endpoints);
  return { loaded, faults };
}

async function ask(port: number, id: string, path: keyof typeof endpoints): Promise<string | null> {
  const { body, read } = endpoints[path];
  try {
    const answer = await send({ host: "127.0.0.1", port }, "POST", path, body(id), answerMs);
    if (answer.status !== 200) return `status ${answer.status}`;
    return proofFault(id, "off", read(JSON.parse(answer.body)));
  } catch (error) {
    return `no answer (${error instanceof Error ? error.message : String(error)})`;
  }
}

/**
 * What the newer version does worse; null when nothing. A model that could not be kept from thinking on an endpoint before is not held
 * against it; where the older version did not serve, everything is asked of the newer one.
 */
export function worse(models: readonly string[], before: Showing | null, after: Showing | null): HostFailure | null {
  const failure = (what: string) =>
    new HostFailure("proof_failed", what, "look at the answers of LM Studio's own server on the host");
  if (after === null) return failure("its server does not tell which models it has loaded");
  const missing = (before?.loaded ?? models).find((id) => models.includes(id) && !after.loaded.includes(id));
  if (missing !== undefined) return failure(`model ${missing} is not loaded`);
  for (const [where, fault] of Object.entries(after.faults))
    if (fault !== null && (before?.faults[where] ?? null) === null) return failure(`${where}: ${fault}`);
  return null;
}
