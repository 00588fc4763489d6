/** What is wrong with an answer. Pure; the words are for the person who runs `up`. */
import type { Thinking } from "../host-documents.ts";
import { type Dialect, errorWords, parsed, type Spoken, type StreamEvent } from "./dialect.ts";
import type { Check, Verdict } from "./finding.ts";

export interface Fault {
  readonly check: Check;
  readonly verdict: Verdict;
  readonly found: string;
}

/** An answer as it came over the wire. */
export interface Came {
  readonly status: number;
  /** Thoughts that the proxy has cut out, by its own count: the text alone does not show them. */
  readonly leaks: number;
  readonly body: string;
}

const failed = (check: Check, found: string): Fault => ({ check, verdict: "failed", found });

/** Null when it is an answer of the endpoint, whatever it says. */
export function answerFault(came: Came, spoken: Spoken | null, dialect: Dialect): Fault | null {
  const words = errorWords(parsed(came.body));
  if (dialect.optional && isUnserved(came.status, words))
    return { check: "answers", verdict: "unshown", found: "this LM Studio does not have the endpoint" };
  if (came.status !== 200)
    return failed("answers", `status ${came.status}${words === null ? "" : `: ${words}`} instead of an answer`);
  if (spoken !== null) return null;
  return failed(
    "answers",
    words === null ? "not an answer of that endpoint" : `an error instead of an answer: ${words}`,
  );
}

/** LM Studio says so with status 200, the proxy with 404; a server in front of them may have no words for it. */
const isUnserved = (status: number, words: string | null): boolean =>
  words === null ? status === 404 : /^Unexpected endpoint|does not have this endpoint/.test(words);

/** What an answer shows of which model ran and whether it thought. */
export function spokenFault(id: string, thinking: Thinking, spoken: Spoken, leaks: number): Fault | null {
  if (spoken.model !== id) return failed("model", `answered by ${spoken.model || "a model without a name"}`);
  if (thinking === "off") {
    const tokens = spoken.reasoningTokens ?? 0;
    if (tokens > 0) return failed("thinking", `it thought: ${tokens} reasoning tokens instead of 0`);
    if (leaks > 0) return failed("thinking", `it thought: the proxy cut ${leaks} thoughts out of the answer`);
    if (spoken.reasoning.trim() !== "") return failed("thinking", "it thought: the answer carries reasoning");
    if (/<\/?think(?:ing)?>/.test(spoken.text)) return failed("thinking", "it thought: the text holds a think tag");
  }
  if (spoken.text.trim() !== "") return null;
  const thought = thinking !== "off" && (spoken.cutShort || (spoken.reasoningTokens ?? 0) > 0);
  if (thought)
    return { check: "answers", verdict: "weak", found: "it was still thinking when its tokens were used up" };
  return { check: "answers", verdict: "weak", found: "no text came" };
}

export interface Pace {
  readonly firstTokenMs: number | null;
  readonly tokensPerSecond: number | null;
}

/** Fewer tokens say nothing about a rate. */
const leastTokens = 8;

/** From a streamed answer. Some servers send several tokens in one event, so the usage is what counts them. */
export function paceOf(events: readonly StreamEvent[], dialect: Dialect, outputTokens: number | null): Pace {
  const times = events.filter(({ event }) => dialect.isToken(event)).map(({ ms }) => ms);
  const [first] = times;
  if (first === undefined) return { firstTokenMs: null, tokensPerSecond: null };
  const tokens = outputTokens ?? times.length;
  const span = (times.at(-1) as number) - first;
  const tokensPerSecond = tokens < leastTokens || span <= 0 ? null : Number((((tokens - 1) * 1000) / span).toFixed(1));
  return { firstTokenMs: Math.round(first), tokensPerSecond };
}
