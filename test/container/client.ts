/** Requests as clients send them, each with a key. */
import { createParser } from "eventsource-parser";
import { teamKey } from "./keys.ts";

interface StreamEvent {
  readonly event: string | undefined;
  readonly data: string;
}

export interface Stream {
  readonly response: Response;
  /** Grows while the stream runs. */
  readonly events: StreamEvent[];
  /** Resolves at the end of the stream, rejects when it breaks. */
  readonly ended: Promise<void>;
  cancel(): void;
}

export interface Asking {
  /** Sent as a Bearer; null sends none. Default: the team's. */
  readonly key?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: unknown;
}

const headersOf = ({ key = teamKey, headers = {} }: Asking) => ({
  ...(key === null ? {} : { authorization: `Bearer ${key}` }),
  ...headers,
});

/** A string is sent as it is, anything else as JSON. */
export async function send(url: string, body: unknown, asking: Asking = {}): Promise<Response> {
  return await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headersOf(asking) },
    body: typeof body === "string" ? body : JSON.stringify(body),
    signal: asking.signal ?? null,
  });
}

export async function post(url: string, body: unknown, asking: Asking = {}): Promise<Answer> {
  return await read(await send(url, body, asking));
}

export async function get(url: string, asking: Asking = {}): Promise<Answer> {
  return await read(await fetch(url, { headers: headersOf(asking) }));
}

export async function openStream(url: string, body: unknown, asking: Asking = {}): Promise<Stream> {
  const controller = new AbortController();
  const response = await send(url, body, { ...asking, signal: controller.signal });
  const events: StreamEvent[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push({ event, data }),
  });
  const readAll = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
  };
  const ended = readAll();
  // Whoever cancels does not wait for the end.
  ended.catch(() => {});
  return { response, events, ended, cancel: () => controller.abort() };
}

/** `code` of an error in OpenAI's form, `type` of one in Anthropic's. */
export function codeOf({ json }: Answer): string | undefined {
  const { error } = json as { readonly error?: { readonly code?: string; readonly type?: string } };
  return error?.code ?? error?.type;
}

/** Waits for a condition; fails after ten seconds with its name. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ten seconds: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function read(response: Response): Promise<Answer> {
  const { status, headers } = response;
  return { status, headers, json: await response.json() };
}
