/** Tells of one answer whether it is the upstream's own, an honest failure in the client's dialect, or something that no client can read. */
import type { Reply } from "./client.ts";
import { type Endpoint, readEvents } from "./dialects.ts";
import { fieldOf } from "./message.ts";

/**
 * `late-status`: a failure event behind nothing but heartbeats, which had to be a stream by then. `complete`: what the upstream sent, whole. `status`: an error status with a body in the dialect. `failed-event`: a stream that ends with
 * the dialect's failure. `broken`: a document whose connection broke, which is how half a document is told from a whole one.
 */
export type Verdict =
  | { readonly kind: "complete" | "status" | "late-status" | "failed-event" | "broken" | "gave-up" }
  | { readonly kind: "wrong"; readonly why: string };

const wrong = (why: string): Verdict => ({ kind: "wrong", why });
const excerpt = (text: string) =>
  JSON.stringify(text.length > 300 ? `${text.slice(0, 150)} … ${text.slice(-150)}` : text);

export interface Asked {
  readonly endpoint: Endpoint;
  readonly marker: string;
  readonly stream: boolean;
  /** Body that the upstream's answer has when it is whole; undefined when it never is. */
  readonly whole: string | undefined;
  /** Status of that answer. */
  readonly status: number;
}

export function judge(asked: Asked, reply: Reply): Verdict {
  const { endpoint, stream, whole } = asked;
  if (reply.kind === "hang") return wrong("no end within the time of the watchdog");
  if (reply.kind === "malformed") return wrong(`not readable as HTTP: ${reply.why}`);
  if (reply.kind === "closed") {
    const partial = reply.partial.toString("latin1");
    if (partial === "") return wrong("the connection closed without a byte of an answer");
    const head = partial.split("\r\n\r\n", 1)[0] ?? "";
    if (/^content-type: *text\/event-stream/im.test(head)) return wrong(`a stream that was cut: ${excerpt(partial)}`);
    return { kind: "broken" };
  }
  const { status, message } = reply;
  const body = message.body.toString("latin1");
  if (status === asked.status && whole !== undefined && body === whole) return { kind: "complete" };
  if (status >= 400) {
    if (!/^application\/json/.test(fieldOf(message.fields, "content-type") ?? ""))
      return wrong(`status ${status} without a JSON body: ${excerpt(body)}`);
    if (!endpoint.isError(parse(body)))
      return wrong(`status ${status}, not an error of this dialect: ${excerpt(body)}`);
    if (status === 500) return wrong(`the proxy blames itself: ${excerpt(body)}`);
    if (status === 503 && fieldOf(message.fields, "retry-after") === undefined)
      return wrong("a 503 that does not say when to try again");
    return { kind: "status" };
  }
  if (!stream) return wrong(`status ${status} with a body that is not the upstream's: ${excerpt(body)}`);
  return judgeStream(asked, body);
}

function judgeStream({ endpoint, marker, whole }: Asked, body: string): Verdict {
  const events = readEvents(body);
  if (events === undefined) return wrong(`a stream that ends inside an event: ${excerpt(body)}`);
  const last = events.at(-1);
  const failed = last !== undefined && endpoint.isFailure(last);
  const told = toldId(events[0]?.data ?? "", marker);
  // What names the response names it as the client was told.
  const isComparable = ({ data }: { readonly data: string }) => told === undefined || !data.includes('"response":');
  const own = (failed ? events.slice(0, -1) : events).filter((e) => e.data.includes(marker) && isComparable(e));
  const expected = (readEvents(endpoint.events(marker).join("")) ?? []).filter(isComparable);
  if (told !== undefined && !failed && !(last?.data.includes(told) && last.data.includes("response.completed")))
    return wrong(`a response that began as ${told} and ends otherwise: ${excerpt(body)}`);
  const whereItCouldEnd = failed ? expected.slice(0, own.length) : expected;
  // With every event there, the upstream's own mark of the end may be there too.
  if (failed && body.includes("[DONE]") && own.length < expected.length)
    return wrong(`a failed stream with the mark of a complete one: ${excerpt(body)}`);
  // The last event before the failure may have been cut.
  const comparable = failed ? own.length - 1 : own.length;
  for (let i = 0; i < Math.max(comparable, failed ? 0 : whereItCouldEnd.length); i++) {
    if (own[i]?.data !== whereItCouldEnd[i]?.data)
      return wrong(`an event that the upstream did not send there: ${excerpt(body)}`);
  }
  if (failed) return { kind: own.length === 0 && events.length > 1 ? "late-status" : "failed-event" };
  // Nothing of it is missing: what broke came behind the event that ends every Responses stream.
  if (whole === undefined && endpoint.path === "/v1/responses") return { kind: "failed-event" };
  return whole === undefined ? wrong(`a broken stream that looks whole: ${excerpt(body)}`) : { kind: "complete" };
}

/** The id of a response that a heartbeat began before the upstream did. */
function toldId(first: string, marker: string): string | undefined {
  const event = parse(first) as { type?: unknown; response?: { id?: unknown } } | undefined;
  const id = event?.type === "response.created" ? event.response?.id : undefined;
  return typeof id === "string" && !id.includes(marker) ? id : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
