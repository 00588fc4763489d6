/** The endpoints that exist behind the proxy. A list of what is let through, because a list of what is not would miss spellings. */
import type { AnswerForm } from "./answer/leak.ts";
import type { Dialect } from "./errors/dialect.ts";
import { Fault } from "./errors/fault.ts";
import type { SwitchedEndpoint } from "./thinking/rules.ts";

export interface Route {
  /** For metrics: few values, whatever clients send. */
  readonly label: string;
  readonly dialect: Dialect;
  readonly methods: readonly string[];
  /** Present where the model works on a body: such a request takes one of its slots. */
  readonly form?: AnswerForm | "embeddings";
  /** Present where the body is rewritten. */
  readonly endpoint?: SwitchedEndpoint;
  /** The last part of the path names a model. */
  readonly entry?: boolean;
}

const work = ["POST"];
const reading = ["GET", "HEAD"];

const routes: ReadonlyMap<string, Route> = new Map(
  (
    [
      { label: "/v1/responses", dialect: "responses", methods: work, form: "responses", endpoint: "responses" },
      { label: "/v1/chat/completions", dialect: "chat", methods: work, form: "chat", endpoint: "chat" },
      { label: "/v1/messages", dialect: "messages", methods: work, form: "messages", endpoint: "messages" },
      { label: "/api/v0/chat/completions", dialect: "chat", methods: work, form: "chat", endpoint: "chat" },
      { label: "/api/v1/chat", dialect: "chat", methods: work, form: "native-chat", endpoint: "native-chat" },
      { label: "/v1/completions", dialect: "chat", methods: work, form: "completions" },
      { label: "/v1/embeddings", dialect: "chat", methods: work, form: "embeddings" },
      { label: "/v1/models", dialect: "chat", methods: reading },
      { label: "/api/v0/completions", dialect: "chat", methods: work, form: "completions" },
      { label: "/api/v0/embeddings", dialect: "chat", methods: work, form: "embeddings" },
      { label: "/api/v0/models", dialect: "chat", methods: reading },
      { label: "/api/v1/models", dialect: "chat", methods: reading },
      { label: "/lmstudio-greeting", dialect: "chat", methods: reading },
    ] satisfies Route[]
  ).map((route) => [route.label, route]),
);

/** One model's entry; identifiers may hold slashes, but nothing that a lenient server might resolve to another path. */
const oneModel = /^\/(v1|api\/v0)\/models\/(?!.*(?:\/\.|\/\/|%2e|%2f|%5c|\\))./i;
const management = /^\/api\/v1\/models\/(?:load|unload|download)(?:\/|$)/;

/** The route of a path, or the fault that answers it. Paths are compared as they were sent: a disguised one is an unknown one. */
export function routeOf(method: string, path: string): Route | Fault {
  const route = routes.get(path) ?? entryRoute(path);
  if (route !== undefined) return route.methods.includes(method) ? route : methodFault(method, path, route.methods);
  if (management.test(path)) {
    return new Fault(
      403,
      "management_closed",
      `${path} is closed: models are loaded and unloaded by the declaration of this host, not through the proxy. Change the models there and run "pulumi up".`,
    );
  }
  return new Fault(
    404,
    "unknown_path",
    `There is no ${method} ${path} here. Known endpoints: ${[...routes.keys()].join(", ")}.`,
  );
}

function entryRoute(path: string): Route | undefined {
  const family = oneModel.exec(path)?.[1];
  return family === undefined
    ? undefined
    : { label: `/${family.toLowerCase()}/models/{id}`, dialect: "chat", methods: reading, entry: true };
}

/** The model that an entry's path names; undefined when it is not well encoded. */
export function entryName(path: string): string | undefined {
  try {
    return decodeURIComponent(path.replace(oneModel, ""));
  } catch {
    return undefined;
  }
}

/** The path of another model's entry. */
export function entryPath(path: string, model = ""): string {
  return (oneModel.exec(path)?.[0] ?? "") + encodeURIComponent(model);
}

function methodFault(method: string, path: string, methods: readonly string[]): Fault {
  return new Fault(405, "method_not_allowed", `${path} does not take ${method}. Use ${methods.join(" or ")}.`, {
    headers: ["allow", methods.join(", ")],
  });
}

/** How a fault is best told to whoever asked for `path`, known or not. */
export function dialectOf(path: string): Dialect {
  return routes.get(path)?.dialect ?? (path.startsWith("/v1/messages") ? "messages" : "chat");
}
