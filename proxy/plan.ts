/** What is changed in a request's body before LM Studio gets it. Pure: the body's outline and the wish in, the new bytes out. */
import type { ProxyConfig } from "../infra/spec/proxy-config.ts";
import type { CallTable } from "./codex/calls.ts";
import { type RequestMemo, type RequestOptions, translateRequest } from "./codex/request/translate.ts";
import { fitRequest } from "./prompt/fit.ts";
import type { JsonBody } from "./splice/body.ts";
import { Rewriting } from "./splice/rewriting.ts";
import { switchThinking, type ThinkingRequest } from "./thinking/rules.ts";
import type { Wish } from "./thinking/wish.ts";

export interface PlanFacts extends Omit<ThinkingRequest, "thinking">, RequestOptions {
  readonly wish: Wish;
  readonly codexTools: ProxyConfig["codexTools"];
  readonly memo: RequestMemo;
  /** LM Studio's id of the response that the request goes on from, where the client was told another. */
  readonly previousId?: string | undefined;
  /** LM Studio's name of the instance that answers for the model. */
  readonly instance: string | undefined;
}

export interface Plan {
  /** The body that goes up: views of what came in, and what was put between. */
  readonly chunks: Buffer[];
  /** Names of what was done, for a header and the log. */
  readonly rewritten: readonly string[];
  readonly droppedTools: readonly string[];
  /** What the tools were called; absent where the answer passes as it is. */
  readonly calls?: CallTable;
}

/** Throws `SyntaxError` when a part that has to be read is not JSON inside. */
export function planRequest(
  body: JsonBody,
  { wish, codexTools, memo, previousId, images, search, instance, ...request }: PlanFacts,
): Plan {
  const rewriting = new Rewriting(body);
  const rewritten: string[] = [];
  if (wish.aliased || instance !== wish.model) rewriting.set("model", JSON.stringify(instance));
  if (wish.aliased) rewritten.push("model-alias");
  if (previousId !== undefined) {
    rewriting.set("previous_response_id", JSON.stringify(previousId));
    rewritten.push("previous-response");
  }
  const { applied, ...found } = forLmStudio(rewriting, {
    endpoint: request.endpoint,
    codexTools,
    memo,
    images,
    search,
  });
  // Behind them: only then it is known what goes last in a conversation.
  if (switchThinking(rewriting, { ...request, thinking: wish.thinking })) rewritten.push(`thinking-${wish.thinking}`);
  return { chunks: rewriting.chunks(), rewritten: [...rewritten, ...applied], ...found };
}

/** For an endpoint whose body is left as it is, but for the name of the instance that answers for its model. */
export function renamedRequest(body: JsonBody, model: string | undefined, instance: string | undefined): Buffer[] {
  if (instance === model) return body.chunks.list;
  const rewriting = new Rewriting(body);
  rewriting.set("model", JSON.stringify(instance));
  return rewriting.chunks();
}

type Fitting = Pick<PlanFacts, "endpoint" | "codexTools" | "memo"> & RequestOptions;

function forLmStudio(rewriting: Rewriting, { endpoint, codexTools, memo, ...options }: Fitting) {
  if (codexTools !== "translate" || endpoint === "native-chat") return { applied: [], droppedTools: [] };
  return endpoint === "responses" ? translateRequest(rewriting, options, memo) : fitRequest(rewriting, endpoint);
}
