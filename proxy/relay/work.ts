/** What an exchange with LM Studio is given, and what it tells in the end. */
import type { AnswerFilter } from "../answer/filter.ts";
import type { AnswerMeter } from "../answer/meter.ts";
import type { Rounds } from "../codex/answer/rounds.ts";
import type { AnswerTranslator } from "../codex/answer/translator.ts";
import type { Fault } from "../errors/fault.ts";
import type { TokenUsage } from "../seeing/record.ts";

/** What goes up. `body` is a list of chunks, or a stream of them for a body that is not read here. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: string[];
  readonly body: Iterable<Buffer> | AsyncIterable<Buffer> | Buffer | null;
}

/** What is done to the answer, and who looks on. */
export interface AnswerWork {
  /** In front of everything else: made anew for each answer of LM Studio. */
  readonly rename?: (() => AnswerFilter | undefined) | undefined;
  /** For an event stream; one that goes on after a search gets another. */
  readonly filter?: (() => AnswerFilter) | undefined;
  /** Behind the filter, for a client that speaks as Codex does. Refusals are told so that it does the right thing. */
  readonly translator?: AnswerTranslator | undefined;
  /** The model belongs to this host: where LM Studio does not have it, it will have it. */
  readonly isDeclared?: boolean;
  /** What is asked when LM Studio refuses (with 400) what the proxy itself had put into the request. Told the refusal's body. */
  readonly instead?: ((refusal: Buffer) => UpstreamRequest | undefined) | undefined;
  /** How an answer goes on whose model searched. */
  readonly rounds?: Rounds | undefined;
  /** Of a whole JSON answer, which is then collected. `headers` are added, as a flat list. */
  readonly transform?: ((body: Buffer) => { readonly body: Buffer; readonly headers?: readonly string[] }) | undefined;
  /** Made when the kind of answer is known. */
  readonly meter?: ((stream: boolean) => AnswerMeter) | undefined;
  /** Milliseconds between two tokens of a stream. */
  readonly onGap?: ((ms: number) => void) | undefined;
  /** LM Studio has answered with this status. */
  readonly onAnswer?: ((status: number) => void) | undefined;
  /** An event stream begins, and ends. */
  readonly onStream?: ((open: boolean) => void) | undefined;
}

/** How it ended; `fault` is what the client was told, when something was wrong. */
export interface Outcome {
  readonly kind: "complete" | "client-gone" | "failed";
  readonly fault?: Fault;
  /** `performance.now()` at the first token. */
  readonly firstTokenAt?: number | undefined;
  readonly tokens?: TokenUsage | undefined;
  readonly stream: boolean;
  readonly retried: boolean;
}
