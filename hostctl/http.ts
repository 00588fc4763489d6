import { type IncomingHttpHeaders, request } from "node:http";

export type Where = { readonly socketPath: string } | { readonly host: string; readonly port: number };

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Null when nobody answered in time. */
export function get(where: Where, path: string, timeoutMs: number): Promise<Answer | null> {
  return send(where, "GET", path, null, timeoutMs).catch(() => null);
}

/** Rejects when nobody answered in time. `timeoutMs` bounds the whole exchange. */
export function send(
  where: Where,
  method: string,
  path: string,
  body: unknown,
  timeoutMs: number,
  fields: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const text = body === null ? null : JSON.stringify(body);
  const framing =
    text === null ? {} : { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) };
  const headers = { ...framing, ...fields };
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const outgoing = request({ ...where, method, path, headers, agent: false, signal }, (response) => {
      let answer = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        answer += chunk;
      });
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: answer }));
    });
    outgoing.on("error", reject);
    outgoing.end(text ?? undefined);
  });
}
