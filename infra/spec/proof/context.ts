/**
 * The declared context, shown by a prompt that almost fills it. The filler is one word over and over: two short prompts tell how many tokens a
 * repetition takes with this model, so the tokens that the long one must be counted as are known beforehand, and fewer mean that it was cut.
 * A long prompt is worked through at the pace of the host, so it is as long as the time allows: what that leaves open is said.
 */
import type { Spoken } from "./dialect.ts";
import { errorWords, parsed } from "./dialect.ts";
import type { Came, Fault } from "./judge.ts";

/** Not a word of the filler: the model is asked for it, and it stands first, where a cut takes it away. */
export const marker = "KESTREL-4471";
const word = " lake";

export const longPrompt = (words: number): string =>
  `The password is ${marker}. Repeat the password when you are asked for it.${word.repeat(words)}\nWhat is the password?`;

export const shortPrompts = [64, 1_088] as const;

/** What one repetition and all the rest of a prompt are counted as. */
export interface Scale {
  readonly perWord: number;
  readonly rest: number;
}

/** Null when the counts make no sense: LM Studio does not tell them, or does not count the prompt. */
export function scaleOf(counts: readonly [number | null, number | null]): Scale | null {
  const [few, many] = counts;
  if (few === null || many === null || many <= few) return null;
  const perWord = (many - few) / (shortPrompts[1] - shortPrompts[0]);
  return { perWord, rest: few - perWord * shortPrompts[0] };
}

export const answerTokens = 32;
/** Room for the answer, and for what a template adds by the length of a conversation. */
const reserved = (declared: number) => answerTokens + 32 + Math.ceil(declared * 0.02);

/** Attention costs more the longer a prompt is, so the pace of a short one is not kept. */
const slowing = 2;

export interface LongPrompt {
  readonly words: number;
  /** As LM Studio must count it. */
  readonly tokens: number;
  /** It is as long as the declared context allows; else as long as the time does. */
  readonly full: boolean;
}

/** Null when the context has no room for more than the short prompts. `tokensPerMs`: how fast prompts are worked through. */
export function longPromptFor(
  declared: number,
  scale: Scale,
  tokensPerMs: number,
  budgetMs: number,
): LongPrompt | null {
  const most = declared - reserved(declared);
  const affordable = Math.floor((tokensPerMs * budgetMs) / slowing);
  const words = Math.floor((Math.min(most, affordable) - scale.rest) / scale.perWord);
  if (words <= shortPrompts[0]) return null;
  return { words, tokens: Math.round(scale.rest + scale.perWord * words), full: most <= affordable };
}

/** Rounding of the scale, and a template that is not quite the same. */
const tolerance = 0.02;

/** LM Studio's and llama.cpp's own words about a context that is smaller, with its size (opencode #2259, #11141; lmstudio-bug-tracker #546; llama.cpp #15780). */
const sizes = [
  /n_ctx: (\d+)/,
  /n_ctx \((\d+)\)/,
  /context length (?:of only|only supports|of) (\d+)/,
  /context size \((\d+)/,
];

export function refusedSize(body: string): number | null {
  const words = errorWords(parsed(body)) ?? body;
  for (const size of sizes) {
    const found = Number(size.exec(words)?.[1]);
    if (found > 0) return found;
  }
  return null;
}

/** What a refused long prompt means: other requests may hold a part of a context that all share, which is no smaller for that. */
export function refusalFault(came: Came, declared: number, tokens: number): Fault {
  const size = refusedSize(came.body);
  const words = errorWords(parsed(came.body));
  if (size === null && words !== null && /context/i.test(words))
    return {
      check: "context",
      verdict: "unshown",
      found: `a prompt of ${tokens} tokens had no room beside other requests: ${words}`,
    };
  const found =
    size === null
      ? `status ${came.status} for a prompt of ${tokens} tokens`
      : `LM Studio takes ${size} tokens instead of ${declared}`;
  return { check: "context", verdict: "failed", found };
}

/** Null when the prompt was taken in whole. */
export function cutFault({ tokens }: LongPrompt, spoken: Spoken): Fault | null {
  const { inputTokens, text } = spoken;
  const repeated = text.includes(marker);
  if (inputTokens === null)
    return repeated
      ? null
      : {
          check: "context",
          verdict: "unshown",
          found: "the answer neither counts the prompt's tokens nor repeats its beginning",
        };
  if (inputTokens >= tokens * (1 - tolerance)) return null;
  return {
    check: "context",
    verdict: "failed",
    found: `the prompt was cut: ${inputTokens} tokens of ${tokens} were taken in`,
  };
}
