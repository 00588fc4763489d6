/** Requests that only read, such as the lists of models: nothing of them is rewritten, and they take no slot. */
import type { IncomingMessage } from "node:http";
import type { ProxyConfig } from "../infra/spec/proxy-config.ts";
import type { Caller } from "./access/caller.ts";
import { leftOutHeaders } from "./access/key-headers.ts";
import type { GatewayParts } from "./gateway-parts.ts";
import { hasBody } from "./relay/body.ts";
import { requestHeaders } from "./relay/headers.ts";
import type { AnswerWork, UpstreamRequest } from "./relay/work.ts";
import type { Route } from "./routes.ts";
import { listedByModel } from "./upstream/instances.ts";
import { listedModels } from "./upstream/model-list.ts";

/** What goes to LM Studio, and what its answer becomes: a list tells of the models that the caller may use, by the names that clients know. */
export async function readingRequest(
  request: IncomingMessage,
  target: string,
  route: Route,
  caller: Caller,
  config: ProxyConfig,
  { catalog, instances }: Pick<GatewayParts, "catalog" | "instances">,
): Promise<{ readonly up: UpstreamRequest; readonly work: AnswerWork }> {
  const lists = route.label.endsWith("/models") && request.method === "GET";
  const entry = route.entry ? instances.entry(target.split("?", 1)[0] as string) : undefined;
  const up: UpstreamRequest = {
    method: request.method ?? "GET",
    path: entry?.path ?? target,
    headers: requestHeaders(request.rawHeaders, leftOutHeaders(config, lists || route.entry === true)),
    // A body that is left unread on purpose must not close the client's connection.
    body: hasBody(request) ? request.iterator({ destroyOnReturn: false }) : null,
  };
  if (!lists) return { up, work: { rename: entry?.rename } };
  const ours = route.label === "/v1/models";
  // A failure is LM Studio's, and the list itself will tell it; what was last heard does until then.
  if (ours) await catalog.loaded().catch(() => undefined);
  const known = (model: string) => catalog.known(model);
  const transform = (body: Buffer) => {
    const listed = listedByModel(body, instances.serving);
    return { body: ours ? listedModels(listed, config, caller.mayUse, known) : listed };
  };
  return { up, work: { transform } };
}
