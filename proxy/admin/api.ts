/** Calls of whoever runs this host, below `/-/`: by the admin socket, and most of them with a key that says `admin`. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Admission } from "../admission/admission.ts";
import { answerJson } from "../errors/answer.ts";
import { Fault } from "../errors/fault.ts";

export type AdminCall = { readonly call: "hold" | "resume"; readonly model: string } | { readonly call: OtherCall };

type OtherCall = "usage" | "captures" | "instances" | "drain" | "handover" | "reload";

export interface AdminParts {
  readonly admission: Admission;
  /** Which instance answers for a model, and how many requests each has. */
  readonly instances: () => unknown;
  readonly usage: () => unknown;
  readonly captures: () => unknown;
  /** Reads the configuration again; resolves with what is wrong with it. */
  readonly reload: () => Promise<string | undefined>;
  readonly drain: () => void;
  readonly handOver: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

/** A hold ends by itself: whoever asked for it may have died. */
const holdSeconds = 300;
const longestHoldSeconds = 86_400;
const ofModel = /^\/-\/models\/(.+)\/(hold|resume)$/;
const others = new Map<string, readonly ["GET" | "POST", OtherCall]>([
  ["/-/usage", ["GET", "usage"]],
  ["/-/captures", ["GET", "captures"]],
  ["/-/instances", ["GET", "instances"]],
  ["/-/reload", ["POST", "reload"]],
  ["/-/drain", ["POST", "drain"]],
  ["/-/handover", ["POST", "handover"]],
]);

/** Pure. Identifiers of models may hold slashes, as they are or percent-encoded. Throws the fault that answers an unknown call. */
export function adminCall(method: string, path: string): AdminCall {
  const matched = ofModel.exec(path);
  if (matched !== null) {
    requireMethod(method, "POST", path);
    return { call: matched[2] as "hold" | "resume", model: decoded(matched[1] as string) };
  }
  const known = others.get(path);
  if (known !== undefined) {
    requireMethod(method, known[0], path);
    return { call: known[1] };
  }
  throw new Fault(
    404,
    "unknown_path",
    `There is no ${method} ${path} here. Known: POST /-/models/ID/hold?seconds=N, POST /-/models/ID/resume, ${[...others].map(([known, [verb]]) => `${verb} ${known}`).join(", ")}.`,
  );
}

/** `bySocket`: calls that end or replace the process are for this host alone. */
export async function handleAdmin(
  request: IncomingMessage,
  response: ServerResponse,
  bySocket: boolean,
  parts: AdminParts,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://socket");
  const asked = adminCall(request.method ?? "GET", url.pathname);
  const answer = (value: unknown) => answerJson(request, response, 200, JSON.stringify(value));
  switch (asked.call) {
    case "hold":
      parts.admission.hold(asked.model, seconds(url.searchParams.get("seconds")));
      answer(stateOf(parts.admission, asked.model));
      return;
    case "resume":
      parts.admission.resume(asked.model);
      answer(stateOf(parts.admission, asked.model));
      return;
    case "usage":
      answer(parts.usage());
      return;
    case "instances":
      requireSocket(bySocket, url.pathname);
      answer(parts.instances());
      return;
    case "captures":
      answer(parts.captures());
      return;
    case "reload":
      requireSocket(bySocket, url.pathname);
      answer({ problem: (await parts.reload()) ?? null });
      return;
    case "drain":
      requireSocket(bySocket, url.pathname);
      answer({ draining: true });
      parts.drain();
      return;
    case "handover":
      requireSocket(bySocket, url.pathname);
      await parts.handOver(request, response);
      return;
  }
}

/** What hostctl waits for: that nothing of a held model runs any more. */
function stateOf(admission: Admission, model: string) {
  const queue = admission.snapshot().find((one) => one.model === model);
  const { running = 0, claimed = 0, queued = 0, heldUntil = null } = queue ?? {};
  // A predecessor's requests are with LM Studio too.
  return { model, running: running + claimed, queued, heldUntil };
}

function seconds(text: string | null): number {
  if (text === null) return holdSeconds;
  const value = Number(text);
  if (value > 0 && value <= longestHoldSeconds) return value;
  throw new Fault(
    400,
    "invalid_request",
    `seconds is ${JSON.stringify(text.slice(0, 40))}; expected a number above 0 and at most ${longestHoldSeconds}.`,
  );
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    throw new Fault(400, "invalid_request", "The model's id in the path is not well percent-encoded.");
  }
}

function requireMethod(method: string, wanted: string, path: string): void {
  if (method === wanted) return;
  throw new Fault(405, "method_not_allowed", `${path} does not take ${method}. Use ${wanted}.`, {
    headers: ["allow", wanted],
  });
}

function requireSocket(bySocket: boolean, path: string): void {
  if (bySocket) return;
  throw new Fault(403, "admin_only", `${path} is for the admin socket of this host alone, not for a key.`);
}
