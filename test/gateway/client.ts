/** Requests as clients of the gateway make them, each on a connection of its own. */
import { Client } from "undici";

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

interface Turn {
  readonly model?: string;
  readonly session?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly path?: string;
  readonly more?: Readonly<Record<string, unknown>>;
}

export async function ask(
  url: string,
  { model = "coder", session, headers, path = "/v1/responses", more }: Turn = {},
): Promise<Reply> {
  const named = session === undefined ? {} : { "session-id": session };
  return await send(url, path, { ...named, ...headers }, JSON.stringify({ model, ...more }));
}

export async function send(
  url: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: string,
): Promise<Reply> {
  // Certificates of tests are signed by nobody.
  const client = new Client(url, { connect: { rejectUnauthorized: false } });
  try {
    const method = body === undefined ? "GET" : "POST";
    const answer = await client.request({ path, method, headers, ...(body === undefined ? {} : { body }) });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  } finally {
    await client.destroy();
  }
}

/** Of an answer of a stand-in host: its name. */
export const hostOf = ({ text }: Reply): string => (JSON.parse(text) as { host: string }).host;

export interface Stream {
  /** That sent the first bytes. */
  readonly host: string;
  /** As the host ended it; with an error of the client's dialect, all of it in order; or broken off. */
  readonly end: Promise<"well" | "told" | "cut">;
}

/** Resolves with the first bytes. */
export async function openStream(url: string, session: string): Promise<Stream> {
  const client = new Client(url);
  const { body } = await client.request({
    path: "/v1/responses",
    method: "POST",
    headers: { "session-id": session },
    body: JSON.stringify({ model: "coder", stream: true }),
  });
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const first = String((await chunks.next()).value);
  const rest = async () => {
    let text = "";
    for (;;) {
      const { value, done } = await chunks.next();
      if (done) return /\nevent: response\.failed\n/.test(`\n${text}`) ? "told" : "well";
      text += value;
    }
  };
  const end = rest()
    .catch(() => "cut" as const)
    .finally(() => client.destroy());
  return { host: /data: (\S+)/.exec(first)?.[1] ?? "", end };
}
