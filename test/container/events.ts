/** A streaming request and its events, each with the moment at which it arrived. */
import { createParser } from "eventsource-parser";

interface TimedEvent {
  readonly at: number;
  readonly event: string | undefined;
  readonly data: string;
}

export interface Stream {
  readonly response: Response;
  /** Grows while the stream runs. */
  readonly events: TimedEvent[];
  /** Resolves at the end of the stream, rejects when it breaks. */
  readonly ended: Promise<void>;
  cancel(): void;
}

export async function openStream(url: string, body: unknown): Promise<Stream> {
  const controller = new AbortController();
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: controller.signal,
  });
  const events: TimedEvent[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => events.push({ at: performance.now(), event, data }),
  });
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
  };
  const ended = read();
  // Whoever cancels does not wait for the end.
  ended.catch(() => {});
  return { response, events, ended, cancel: () => controller.abort() };
}

export async function post(url: string, body: unknown): Promise<{ status: number; headers: Headers; json: unknown }> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, json: await response.json() };
}
