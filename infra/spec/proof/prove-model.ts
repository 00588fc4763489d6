/**
 * The proof of one model, cheap questions first: what is loaded; each endpoint whole, then streamed with a question that invites thinking; a tool's
 * call and result; the declared context. It asks only our own fixed questions. Without effects of its own: `ask` reaches the endpoint.
 */
import type { Ask } from "./ask.ts";
import { leaksHeader, strategyHeader } from "./ask.ts";
import { chat } from "./chat.ts";
import { answerTokens, cutFault, longPrompt, longPromptFor, refusalFault, scaleOf, shortPrompts } from "./context.ts";
import {
  type Dialect,
  type ProofPath,
  type ProvedModel,
  parsed,
  type Spoken,
  type StreamEvent,
  streamEvents,
} from "./dialect.ts";
import { type Check, excerpt, type Figures, type Finding, type ModelProof } from "./finding.ts";
import { answerFault, type Came, type Fault, paceOf, spokenFault } from "./judge.ts";
import { type Listed, listedFault, listedModel } from "./listing.ts";
import { messages } from "./messages.ts";
import { nativeChat } from "./native-chat.ts";
import { responses } from "./responses.ts";
import { callBody, callOf, question, resultBody, resultFault, secretNumber } from "./tools.ts";

/** `pulse` is one token, for a look every few minutes; `thinking` asks every endpoint and leaves tools and context out; `full` is all. */
export type Depth = "pulse" | "thinking" | "full";

export interface ProofOptions {
  readonly ask: Ask;
  readonly depth: Depth;
  /** The questions go to LM Studio itself, so they carry the switch that the proxy would set. */
  readonly direct: boolean;
  /** Whether LM Studio's list of models is asked for it, default true. */
  readonly listed?: boolean;
  /** For the whole of it. */
  readonly withinMs: number;
  /** For the long prompt: as long as it takes about that time. */
  readonly contextMs: number;
  readonly say: (line: string) => void;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
}

const prompts = {
  plain: "How many prime numbers are there below 10? Answer in one short sentence.",
  riddle:
    "A bat and a ball cost 1.10 together. The bat costs 1.00 more than the ball. How much is the ball? Think it through step by step before you answer.",
} as const;

const dialects = [responses, chat, messages, nativeChat] as const;

/** A model that may think needs room to come to its answer. */
const room = (model: ProvedModel) => (model.thinking === "off" ? 64 : 1_024);
/** Of one question. A cold prompt on a large model takes a while. */
const answerMs = 180_000;
/** The proxy knows three ways of switching thinking off on the chat endpoint, and learns from each answer that thought. */
const lessons = 2;

/** Nothing after it can be shown: no answer came at all, or the time is over. */
class Broken extends Error {}

/** Never rejects for what the endpoint does: that is what it finds out. */
export async function proveModel(model: ProvedModel, options: ProofOptions): Promise<ModelProof> {
  const proof = new Proof(model, options);
  try {
    await proof.run();
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
  }
  return proof.result();
}

interface Heard {
  readonly came: Came;
  readonly spoken: Spoken | null;
  readonly events: readonly StreamEvent[];
  readonly milliseconds: number;
}

class Proof {
  readonly #model: ProvedModel;
  readonly #options: ProofOptions;
  readonly #began: number;
  readonly #findings: Finding[] = [];
  readonly #strategies: Partial<Record<ProofPath, string>> = {};
  #listed: Listed | undefined;
  #pace: Pick<Figures, "tokensPerSecond" | "firstTokenMs"> = { tokensPerSecond: null, firstTokenMs: null };
  #contextAccepted: number | null = null;

  constructor(model: ProvedModel, options: ProofOptions) {
    this.#model = model;
    this.#options = options;
    this.#began = options.now();
  }

  result(): ModelProof {
    const { id } = this.#model;
    return {
      id,
      ok: !this.#failed,
      findings: this.#findings,
      ...this.#pace,
      contextAccepted: this.#contextAccepted,
      strategies: this.#strategies,
      milliseconds: Math.round(this.#options.now() - this.#began),
    };
  }

  async run(): Promise<void> {
    if (this.#options.depth === "pulse") return await this.#pulse();
    if (this.#options.listed !== false) await this.#loaded();
    for (const dialect of dialects) await this.#answers(dialect, "plain", dialect === responses && this.#mayThink);
    if (!this.#mayThink) for (const dialect of dialects) await this.#answers(dialect, "riddle", true);
    this.#silences();
    // What is wrong by now would only be found again, more slowly.
    if (this.#failed || this.#options.depth === "thinking") return;
    await this.#tools();
    await this.#context();
  }

  get #failed(): boolean {
    return this.#findings.some(({ verdict }) => verdict === "failed");
  }

  get #mayThink(): boolean {
    return this.#model.thinking !== "off";
  }

  async #pulse(): Promise<void> {
    const { id, thinking } = this.#model;
    const heard = await this.#ask(responses, this.#body(responses, "ready?", 1, false), "ready?");
    const expected = "one token";
    if (heard.spoken === null)
      return this.#note(responses, answerFault(heard.came, null, responses), "ready?", expected, heard);
    const fault = spokenFault(id, thinking, heard.spoken, heard.came.leaks);
    // One token need not be a word.
    if (fault?.verdict === "failed") this.#note(responses, fault, "ready?", expected, heard);
  }

  async #loaded(): Promise<void> {
    const reply = await this.#reply("/api/v1/models", null, "which models are loaded");
    const listed = listedModel(reply.came.body, this.#model.id);
    if (typeof listed === "object") this.#listed = listed;
    const fault = listedFault(this.#model, listed);
    if (fault !== null) this.#findings.push({ model: this.#model.id, endpoint: "/api/v1/models", ...fault });
  }

  async #answers(dialect: Dialect, about: keyof typeof prompts, stream: boolean): Promise<void> {
    if (this.#isUnserved(dialect)) return;
    const { id, thinking } = this.#model;
    const prompt = prompts[about];
    this.#options.say(`proving ${id} on ${dialect.path}${stream ? ", streamed" : ""}`);
    let heard = await this.#ask(dialect, this.#body(dialect, prompt, room(this.#model), stream), prompt);
    const faultOf = ({ came, spoken }: Heard) =>
      answerFault(came, spoken, dialect) ?? spokenFault(id, thinking, spoken as Spoken, came.leaks);
    const learns = dialect === chat && !this.#options.direct;
    for (let lesson = 0; learns && lesson < lessons && faultOf(heard)?.check === "thinking"; lesson++)
      heard = await this.#ask(dialect, this.#body(dialect, prompt, room(this.#model), stream), prompt);
    const { spoken, events } = heard;
    if (stream && dialect === responses) this.#pace = paceOf(events, dialect, spoken?.outputTokens ?? null);
    const expected = `an answer by ${id}${thinking === "off" ? " without any reasoning, because thinking is off" : ""}`;
    this.#note(dialect, faultOf(heard), prompt, expected, heard);
  }

  /** A model that is weak may have nothing to say to one question; an endpoint that never brings any text does not work. */
  #silences(): void {
    for (const { path } of dialects) {
      const silent = this.#findings.filter(({ endpoint, found }) => endpoint === path && found === "no text came");
      if (silent.length < (this.#mayThink ? 1 : 2)) continue;
      const index = this.#findings.indexOf(silent[0] as Finding);
      this.#findings[index] = { ...(silent[0] as Finding), verdict: "failed" };
    }
  }

  async #tools(): Promise<void> {
    const { id } = this.#model;
    if (this.#listed?.trainedForToolUse === false) {
      const found = "tools: the model is not trained to use them, so nothing is shown";
      this.#findings.push({ model: id, endpoint: responses.path, check: "tools", verdict: "unshown", found });
      return;
    }
    this.#options.say(`proving ${id} with a tool`);
    // A command is written quickly, and what is told after it too.
    const tokens = Math.max(room(this.#model), 128);
    const expected = `a call of the tool, then an answer with its result, ${secretNumber}`;
    const body = this.#switched(responses, callBody(id, tokens));
    const called = await this.#ask(responses, body, question);
    const first = answerFault(called.came, called.spoken, responses);
    if (first !== null) return this.#note(responses, { ...first, check: "tools" }, question, expected, called);
    const outcome = callOf(called.spoken as Spoken);
    if ("fault" in outcome) return this.#note(responses, outcome.fault, question, expected, called);
    const answered = await this.#ask(
      responses,
      this.#switched(responses, resultBody(id, tokens, outcome.call)),
      question,
    );
    const second = answerFault(answered.came, answered.spoken, responses);
    const fault = second === null ? resultFault(answered.spoken as Spoken) : { ...second, check: "tools" as const };
    this.#note(responses, fault, question, expected, answered);
  }

  async #context(): Promise<void> {
    const { id, contextLength } = this.#model;
    if (contextLength === undefined) return;
    const { say, contextMs } = this.#options;
    const ask = (words: number) =>
      this.#ask(
        responses,
        this.#body(responses, longPrompt(words), answerTokens, false),
        "a long prompt",
        2 * contextMs,
        "context",
      );
    const [few, many] = [
      await ask(shortPrompts[0]),
      contextLength < shortPrompts[1] * 2 ? null : await ask(shortPrompts[1]),
    ];
    const scale = scaleOf([few.spoken?.inputTokens ?? null, many?.spoken?.inputTokens ?? null]);
    if (many === null || scale === null) {
      const found =
        many === null
          ? `a context of ${contextLength} tokens is too short for a long prompt`
          : "the answer does not count the tokens of its prompt";
      return this.#note(
        responses,
        { check: "context", verdict: "unshown", found },
        "a long prompt",
        "the tokens it took",
        many ?? few,
      );
    }
    const pace = (many.spoken?.inputTokens ?? 0) / Math.max(1, many.milliseconds);
    const long = longPromptFor(contextLength, scale, pace, Math.min(contextMs, this.#left));
    if (long === null) return;
    say(`proving the context of ${id} with a prompt of ${long.tokens} of ${contextLength} tokens`);
    const heard = await ask(long.words);
    const asked = `the password, in front of a prompt of ${long.tokens} tokens`;
    const expected = `all of the prompt taken in: ${contextLength} tokens of context are declared`;
    const { came, spoken } = heard;
    const fault =
      came.status !== 200 || spoken === null ? refusalFault(came, contextLength, long.tokens) : cutFault(long, spoken);
    if (fault === null) this.#contextAccepted = spoken?.inputTokens ?? long.tokens;
    this.#note(responses, fault ?? openFault(long.full, contextLength, long.tokens), asked, expected, heard);
  }

  #isUnserved({ path }: Dialect): boolean {
    return this.#findings.some(
      ({ endpoint, check, verdict }) => endpoint === path && check === "answers" && verdict === "unshown",
    );
  }

  #body(dialect: Dialect, prompt: string, tokens: number, stream: boolean) {
    return dialect.body({ model: this.#model.id, prompt, tokens, stream, switchOff: this.#switchesOff(dialect) });
  }

  #switched(dialect: Dialect, body: Readonly<Record<string, unknown>>) {
    return this.#switchesOff(dialect) ? { ...body, reasoning: { effort: "none" } } : body;
  }

  #switchesOff(dialect: Dialect): boolean {
    // LM Studio's own endpoint refuses the switch for a model that does not list it.
    const taken = dialect !== nativeChat || this.#listed?.switchesOff === true;
    return this.#options.direct && !this.#mayThink && taken;
  }

  async #ask(
    dialect: Dialect,
    body: Readonly<Record<string, unknown>>,
    asked: string,
    withinMs = answerMs,
    check: Check = "answers",
  ): Promise<Heard> {
    const reply = await this.#reply(dialect.path, body, asked, withinMs, check);
    const { came, strategy } = reply;
    if (strategy !== undefined && !this.#mayThink) this.#strategies[dialect.path] = strategy;
    const events = body.stream === true && came.status === 200 ? streamEvents(reply.chunks) : [];
    // A refusal may come as a whole document where a stream was asked for.
    const answer = events.length > 0 ? dialect.fold(events.map(({ event }) => event)) : parsed(came.body);
    return { came, spoken: dialect.read(answer), events, milliseconds: reply.milliseconds };
  }

  get #left(): number {
    return this.#options.withinMs - (this.#options.now() - this.#began);
  }

  async #reply(path: Finding["endpoint"], body: unknown, asked: string, withinMs = answerMs, check: Check = "answers") {
    const { ask, now } = this.#options;
    const started = now();
    const limit = Math.min(withinMs, this.#left);
    try {
      if (limit <= 0) throw new Error("the time for the proof is over");
      const { status, headers, chunks } = await ask(path, body, limit);
      const came = { status, leaks: Number(headers[leaksHeader] ?? 0), body: chunks.map(({ text }) => text).join("") };
      return { came, strategy: headers[strategyHeader]?.toString(), chunks, milliseconds: now() - started };
    } catch (error) {
      // A prompt that takes longer than its time was too long for this host; one that breaks off is another matter.
      const late = limit > 0 && now() - started >= limit;
      const verdict = late && check === "context" ? "unshown" : "failed";
      const found = `no whole answer came: ${error instanceof Error ? error.message : String(error)}`;
      const transcript = { asked, expected: `an answer within ${Math.round(limit / 1000)} s`, came: "nothing" };
      this.#findings.push({
        model: this.#model.id,
        endpoint: path,
        check: limit > 0 ? check : "time",
        verdict,
        found,
        transcript,
      });
      throw new Broken(found);
    }
  }

  #note({ path }: Dialect, fault: Fault | null, asked: string, expected: string, { came, spoken }: Heard): void {
    if (fault === null) return;
    const transcript = { asked: `"${asked}"`, expected, came: `status ${came.status}, ${excerpt(told(came, spoken))}` };
    this.#findings.push({ model: this.#model.id, endpoint: path, ...fault, transcript });
    if (fault.verdict !== "failed") this.#options.say(`note: ${this.#model.id} on ${path}: ${fault.found}`);
  }
}

/** The words of an answer say more than its frame, which says more than no words. */
const told = ({ body }: Came, spoken: Spoken | null): string => spoken?.reasoning || spoken?.text || body;

const openFault = (full: boolean, declared: number, tokens: number): Fault | null =>
  full
    ? null
    : {
        check: "context",
        verdict: "unshown",
        found: `${tokens} of ${declared} tokens of context were shown: more would take too long on this host`,
      };
