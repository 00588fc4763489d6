/** Request bodies by chance through the scanner and the rewriting, against `JSON.parse` and the rule in plain words. */
import { JsonBody } from "../../proxy/splice/body.ts";
import { ScanFault } from "../../proxy/splice/outline.ts";
import { Rewriting } from "../../proxy/splice/rewriting.ts";
import { type SwitchedEndpoint, switchThinking, type ThinkingRequest } from "../../proxy/thinking/rules.ts";
import type { Row } from "../e2e/rows.ts";
import { objectByChance } from "./json-by-chance.ts";
import { mutate, pieces } from "./mutate.ts";
import { Random } from "./random.ts";

export interface FuzzOptions {
  readonly inputs: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

const words = [
  ...[
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\n",
    "\t",
    "\0",
    "\xef\xbb\xbf",
    "\xff",
    "\xc3",
    "-",
    "0",
    "1e5",
    "true",
    "nul",
  ],
  ...[
    '"reasoning":',
    '"effort":"none"',
    '{"effort":"none"}',
    '"reasoning_effort":"none",',
    '"thinking":{"type":"disabled"},',
    '"reasoning":"off",',
  ],
  ...[
    '"messages":[',
    '{"role":"assistant"}',
    '{"role":"user","role":"assistant"}',
    '"role":"assistant"',
    '"model":"m",',
    "\\u0061",
    "\\ud83d",
    '"__proto__":{},',
  ],
];

/** Keys that hold an escape are left out where `JSON.parse` is asked: Node 26 misreads some of them (nodejs/node#63785). */
const escapedKey = /\\[^"]*"\s*:/;
/** A number of more digits than the scanner takes. */
const longNumber = /[-+.0-9eE]{400}/;
const shownExamples = 10;
const batch = 5_000;

const endpoints: readonly SwitchedEndpoint[] = ["responses", "chat", "native-chat", "messages"];

export async function runBodyFuzz({ inputs, seed, say }: FuzzOptions): Promise<Row[]> {
  const random = new Random(seed);
  const counts = { compared: 0, refused: 0, wrong: 0 };
  let told = performance.now();
  for (let done = 0; done < inputs; ) {
    const size = Math.min(batch, inputs - done);
    for (let n = 0; n < size; n++) {
      const good = Buffer.from(objectByChance(random));
      const bytes = random.below(3) === 0 ? good : mutate(good, random, words);
      const request = chance(random);
      const why = check(bytes, request, random, counts);
      if (why === undefined) continue;
      counts.wrong++;
      if (counts.wrong <= shownExamples)
        say(`  ${why}: ${JSON.stringify(request)} ${JSON.stringify(bytes.toString("latin1"))}`);
    }
    done += size;
    if (performance.now() - told > 10_000) {
      told = performance.now();
      say(`  bodies by chance: ${done} of ${inputs}`);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { compared, refused, wrong } = counts;
  return [
    {
      name: `bodies by chance, wrongly dealt with (${compared} compared, ${refused} refused)`,
      value: wrong,
      unit: `of ${inputs}`,
      bar: "0",
      ok: wrong === 0,
    },
    {
      name: "of them good enough to compare",
      value: ((compared / inputs) * 100).toFixed(0),
      unit: "%",
      bar: "at least 20",
      ok: compared >= inputs / 5,
    },
  ];
}

function chance(random: Random): ThinkingRequest {
  return {
    endpoint: random.pick(endpoints),
    thinking: random.pick(["off", "on"] as const),
    strategy: { effort: random.below(3) > 0, prefill: random.below(3) === 0 },
    options: random.below(2) === 0 ? ["off", "on"] : undefined,
  };
}

/** What is wrong, or nothing. */
function check(
  bytes: Buffer,
  request: ThinkingRequest,
  random: Random,
  counts: { compared: number; refused: number },
): string | undefined {
  const text = bytes.toString("utf8", bytes.indexOf("\xef\xbb\xbf", 0, "latin1") === 0 ? 3 : 0);
  const judged = !escapedKey.test(text) && !longNumber.test(text);
  const known = judged ? parsed(text) : undefined;
  const isObject = isRecord(known?.value);
  let output: Buffer;
  try {
    output = rewritten(pieces(bytes, random), request);
  } catch (error) {
    counts.refused++;
    if (!(error instanceof ScanFault || error instanceof SyntaxError)) return `an exception, ${(error as Error).stack}`;
    return isObject ? `refused although it is one JSON object (${error.message})` : undefined;
  }
  if (!judged) return undefined;
  if (known === undefined) return undefined;
  if (!isObject) return "taken although it is no JSON object";
  counts.compared++;
  const found = parsed(output.toString());
  if (found === undefined) return `became no JSON, ${output}`;
  const printed = JSON.stringify(found.value);
  if (!wantedOf(known.value as Record<string, unknown>, request).some((wanted) => JSON.stringify(wanted) === printed))
    return `became ${printed}`;
  if (!rewritten([output], request).equals(output)) return `is not the same when it is rewritten once more, ${output}`;
  return undefined;
}

function rewritten(chunks: readonly Buffer[], request: ThinkingRequest): Buffer {
  const body = new JsonBody();
  for (const chunk of chunks) body.push(chunk);
  body.end();
  const rewriting = new Rewriting(body);
  switchThinking(rewriting, request);
  return Buffer.concat(rewriting.chunks());
}

type Json = Record<string, unknown>;

/** The rule in plain words; two ways are right where a switch that is taken back leaves nothing of its object. */
function wantedOf(input: Json, { endpoint, thinking, strategy, options }: ThinkingRequest): readonly Json[] {
  const off = thinking === "off";
  switch (endpoint) {
    case "responses":
      return nested(input, "reasoning", "effort", "none", off);
    case "messages":
      return nested(input, "thinking", "type", "disabled", off);
    case "native-chat":
      return off && !options?.includes("off") ? [input] : [flat(input, "reasoning", "off", off)];
    case "chat": {
      const switched = strategy.effort || !off ? flat(input, "reasoning_effort", "none", off) : input;
      const { messages } = switched;
      const wantsPrefill = strategy.prefill && off && Array.isArray(messages) && messages.length > 0;
      if (!wantsPrefill || (messages.at(-1) as { role?: unknown } | null)?.role === "assistant") return [switched];
      return [{ ...switched, messages: [...messages, { role: "assistant", content: "<think>\n\n</think>\n\n" }] }];
    }
  }
}

function flat(input: Json, key: string, offValue: string, off: boolean): Json {
  if (off) return { ...input, [key]: offValue };
  return input[key] === offValue ? without(input, key) : input;
}

function nested(input: Json, key: string, inner: string, offValue: string, off: boolean): readonly Json[] {
  const value = Object.hasOwn(input, key) ? input[key] : undefined;
  if (!isRecord(value)) return [off ? { ...input, [key]: { [inner]: offValue } } : input];
  if (off) return [{ ...input, [key]: { ...value, [inner]: offValue } }];
  if (!Object.hasOwn(value, inner) || value[inner] !== offValue) return [input];
  const rest = without(value, inner);
  return Object.keys(rest).length === 0
    ? [without(input, key), { ...input, [key]: rest }]
    : [{ ...input, [key]: rest }];
}

function without(object: Json, key: string): Json {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));
}

function isRecord(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
