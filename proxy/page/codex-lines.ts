/** The lines that make Codex use this endpoint, with the address by which the reader of the page has found it. */
import type { IncomingMessage } from "node:http";
import type { StatusSnapshot } from "./snapshot.ts";

/** A name or an address and perhaps a port; nothing that a URL would take for a user, a path or a query. */
const authority = /^(?:[a-z0-9_.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

/**
 * `http://host:port` as the browser sees it: by the Host field, and by the word of a proxy in front that ends TLS. Instead of a Host that is none it
 * is the address that was connected to.
 */
export function originOf({ headers, socket }: IncomingMessage): string {
  const scheme = headers["x-forwarded-proto"] === "https" ? "https" : "http";
  const host = headers.host ?? "";
  const url = authority.test(host) ? URL.parse(`${scheme}://${host}`) : null;
  if (url !== null) return url.origin;
  const { localAddress = "127.0.0.1", localPort = 80 } = socket;
  const address = localAddress.replace(/^::ffff:/, "");
  return `${scheme}://${address.includes(":") ? `[${address}]` : address}:${localPort}`;
}

/** Codex keeps the names `lmstudio` and `ollama` for itself. */
const provider = "lms";
const keyVariable = "LMS_API_KEY";

export interface CodexLines {
  readonly file: string;
  readonly toml: string;
  readonly shell: string;
}

export function codexLines(origin: string, { models, keyed }: Pick<StatusSnapshot, "models" | "keyed">): CodexLines {
  const answering = models.filter(({ model, declared }) => declared || !model.startsWith("text-embedding"));
  const chosen =
    answering.find(({ declared, state }) => declared && state === "loaded") ??
    answering.find(({ declared, state }) => declared || state === "loaded");
  const window = chosen?.contextLength ?? null;
  // Below a table these keys would belong to it.
  const toml = [
    `model = ${tomlText(chosen?.model ?? "MODEL")}`,
    `model_provider = "${provider}"`,
    ...(window === null ? [] : [`model_context_window = ${window}`]),
    "",
    `[model_providers.${provider}]`,
    `name = "${provider} API"`,
    `base_url = ${tomlText(`${origin}/v1`)}`,
    'wire_api = "responses"',
    "stream_idle_timeout_ms = 10000000",
    // Codex asks for its catalog only where it has a key to show.
    ...(keyed ? [`env_key = "${keyVariable}"`, `model_catalog_url = ${tomlText(`${origin}/v1/models`)}`] : []),
  ];
  const shell = [
    ...(keyed ? [`export ${keyVariable}='YOUR-KEY'`] : []),
    // With the provider named, Codex stops in words when the file is missing.
    `codex --profile ${provider} -c model_provider=${provider}`,
  ];
  return { file: `~/.codex/${provider}.config.toml`, toml: toml.join("\n"), shell: shell.join("\n") };
}

/** JSON's escapes are TOML's, for names without control characters and lone surrogates, as a snapshot has them. */
const tomlText = (text: string): string => JSON.stringify(text);
