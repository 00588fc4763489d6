/** The endpoints that exist behind the proxy. A list of what is let through, because a list of what is not would miss spellings. */
import type { Dialect } from "./errors/dialect.ts";
import { Fault } from "./errors/fault.ts";
import type { SwitchedEndpoint } from "./thinking/rules.ts";

export interface Route {
  readonly dialect: Dialect;
  /** Present where the body is rewritten. */
  readonly endpoint?: SwitchedEndpoint;
}

const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  ["/v1/responses", { dialect: "responses", endpoint: "responses" }],
  ["/v1/chat/completions", { dialect: "chat", endpoint: "chat" }],
  ["/v1/messages", { dialect: "messages", endpoint: "messages" }],
  ["/api/v0/chat/completions", { dialect: "chat", endpoint: "chat" }],
  ["/api/v1/chat", { dialect: "chat", endpoint: "native-chat" }],
  ["/v1/completions", { dialect: "chat" }],
  ["/v1/embeddings", { dialect: "chat" }],
  ["/v1/models", { dialect: "chat" }],
  ["/api/v0/completions", { dialect: "chat" }],
  ["/api/v0/embeddings", { dialect: "chat" }],
  ["/api/v0/models", { dialect: "chat" }],
  ["/api/v1/models", { dialect: "chat" }],
  ["/lmstudio-greeting", { dialect: "chat" }],
]);

/** One model's entry; identifiers may hold slashes. */
const oneModel = /^\/(?:v1|api\/v0)\/models\/./;
const management = /^\/api\/v1\/models\/(?:load|unload|download)(?:\/|$)/;

/** The route of a path, or the fault that answers it. Paths are compared as they were sent: a disguised one is an unknown one. */
export function routeOf(method: string, path: string): Route | Fault {
  const route = routes.get(path);
  if (route !== undefined) return route;
  if (management.test(path)) {
    return new Fault(
      403,
      "management_closed",
      `${path} is closed: models are loaded and unloaded by the declaration of this host, not through the proxy. Change the models there and run "pulumi up".`,
    );
  }
  if ((method === "GET" || method === "HEAD") && oneModel.test(path)) return { dialect: "chat" };
  return new Fault(
    404,
    "unknown_path",
    `There is no ${method} ${path} here. Known endpoints: ${[...routes.keys()].join(", ")}.`,
  );
}

/** How a fault is best told to whoever asked for `path`, known or not. */
export function dialectOf(path: string): Dialect {
  return routes.get(path)?.dialect ?? (path.startsWith("/v1/messages") ? "messages" : "chat");
}
