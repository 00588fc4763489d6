/** What a proof has found, and how it is told: a transcript holds only our own questions, so nothing of a user's is in it. */
import type { ProofPath } from "./dialect.ts";

export type Check = "loaded" | "answers" | "model" | "thinking" | "tools" | "context" | "time";

/**
 * `failed`: the endpoint does not do what was declared. `weak`: it does, but the model did not do well, which no deployment can put right. `unshown`:
 * nothing can be said, and `words` say why.
 */
export type Verdict = "failed" | "weak" | "unshown";

export interface Finding {
  readonly model: string;
  readonly endpoint: ProofPath | "/api/v1/models";
  readonly check: Check;
  readonly verdict: Verdict;
  /** What was found, in one line. */
  readonly found: string;
  /** What was asked, what was expected of it and what came: absent where nothing was asked. */
  readonly transcript?: Transcript;
}

export interface Transcript {
  readonly asked: string;
  readonly expected: string;
  readonly came: string;
}

export interface Figures {
  /** Of a streamed answer, without the first token; null where the answer was too short to tell. */
  readonly tokensPerSecond: number | null;
  readonly firstTokenMs: number | null;
  /** Tokens of the longest prompt that was taken in whole; null where none was tried. */
  readonly contextAccepted: number | null;
  /** How thinking was switched off, by endpoint: `effort`, `prefill` … as the proxy tells. Empty for a model that may think. */
  readonly strategies: Readonly<Partial<Record<ProofPath, string>>>;
  /** What the proof took. */
  readonly milliseconds: number;
}

export interface ModelProof extends Figures {
  readonly id: string;
  /** No finding is a failure. */
  readonly ok: boolean;
  readonly findings: readonly Finding[];
}

const longestExcerpt = 400;

export function excerpt(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > longestExcerpt ? `${line.slice(0, longestExcerpt)}…` : line || "nothing";
}

/** `model alpha on /v1/responses: 7 reasoning tokens instead of 0`. */
export const headline = ({ model, endpoint, found }: Finding): string => `model ${model} on ${endpoint}: ${found}`;

/** The headline with what was asked, expected and seen below it. */
export function transcriptOf(finding: Finding): string {
  const { transcript } = finding;
  if (transcript === undefined) return headline(finding);
  const { asked, expected, came } = transcript;
  return [headline(finding), `  asked: ${asked}`, `  expected: ${expected}`, `  came: ${came}`].join("\n");
}

const commands: Readonly<Record<Check, string>> = {
  loaded: "run `npx lmstack status`; `npx lmstack up` loads it as declared",
  answers: "run `npx lmstack status`, or look at the proxy's and LM Studio's logs on the host",
  model: "run `npx lmstack status` and compare the loaded instances with the spec",
  thinking: "update LM Studio or take another build of the model; `thinking: client` in the spec lets it think",
  tools: "run `npx lmstack status`, or look at the proxy's and LM Studio's logs on the host",
  context: "lower load.contextLength or load.parallel of the model in the spec, then run `npx lmstack up`",
  time: "run `npx lmstack up` again when the host is less busy",
};

/** Message and next step of a proof that does not hold; null when it holds. */
export function failureOf(proof: ModelProof): { readonly message: string; readonly hint: string } | null {
  const failed = proof.findings.filter(({ verdict }) => verdict === "failed");
  const [first] = failed;
  if (first === undefined) return null;
  return { message: failed.map(transcriptOf).join("\n"), hint: commands[first.check] };
}

/** One line for people: what was measured, and what could not be shown. */
export function summaryOf(proof: ModelProof): string {
  const { tokensPerSecond, firstTokenMs, contextAccepted, findings } = proof;
  const parts = [
    ...(tokensPerSecond === null ? [] : [`${tokensPerSecond} tokens/s`]),
    ...(firstTokenMs === null ? [] : [`first token after ${firstTokenMs} ms`]),
    ...(contextAccepted === null ? [] : [`prompt of ${contextAccepted} tokens taken in whole`]),
    ...findings.filter(({ verdict }) => verdict !== "failed").map(({ endpoint, found }) => `${endpoint}: ${found}`),
  ];
  return `${proof.id}: ${parts.join(", ") || "answers"}`;
}
