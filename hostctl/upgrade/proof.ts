/** Whether a version of LM Studio does what the one before did: the same models load, and thinking can still be switched off. */
import { chat } from "../../infra/spec/proof/chat.ts";
import { type Dialect, parsed } from "../../infra/spec/proof/dialect.ts";
import { answerFault, spokenFault } from "../../infra/spec/proof/judge.ts";
import { responses } from "../../infra/spec/proof/responses.ts";
import { HostFailure } from "../failure.ts";
import { send } from "../http.ts";
import { instances } from "../lmstudio/http.ts";

/** What was seen of one version. Faults are null where an answer came without a thought. */
export interface Showing {
  readonly loaded: readonly string[];
  readonly faults: Readonly<Record<string, string | null>>;
}

const answerMs = 180_000;
/** It invites thinking. */
const prompt =
  "A bat and a ball cost 1.10 together, the bat 1.00 more than the ball. What does the ball cost? Be brief.";

/** Null when no server tells what it has loaded. */
export async function showing(port: number, models: readonly string[]): Promise<Showing | null> {
  const found = await instances(port);
  if (found === null) return null;
  const loaded = models.filter((id) => found.some((instance) => instance.identifier === id));
  const faults: Record<string, string | null> = {};
  for (const id of loaded)
    for (const dialect of [responses, chat]) faults[`${id} on ${dialect.path}`] = await ask(port, id, dialect);
  return { loaded, faults };
}

async function ask(port: number, id: string, dialect: Dialect): Promise<string | null> {
  const question = { model: id, prompt, tokens: 64, stream: false, switchOff: true };
  try {
    const { status, body } = await send(
      { host: "127.0.0.1", port },
      "POST",
      dialect.path,
      dialect.body(question),
      answerMs,
    );
    const spoken = dialect.read(parsed(body));
    const fault = answerFault({ status, leaks: 0, body }, spoken, dialect);
    if (fault !== null || spoken === null) return fault?.found ?? null;
    return spokenFault(id, "off", spoken, 0)?.found ?? null;
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
