/** The command line, and how much is measured. */
import { parseArgs } from "node:util";

export const rowNames = [
  "small",
  "codex",
  "megabyte",
  "streams",
  "firehose",
  "turn",
  "limits",
  "idle",
  "cancel",
  "start",
  "conversation",
] as const;
export type RowName = (typeof rowNames)[number];

/** Rows that only show figures; a quick run leaves them out unless they are asked for. */
const withoutBars: readonly RowName[] = ["turn", "limits"];

export interface Options {
  readonly quick: boolean;
  readonly rows: readonly RowName[];
  readonly rounds: number;
  readonly json: string | undefined;
}

export const help = `Measures the proxy beside its peers on this machine, with LM Studio's stand-in behind them, and says whether each bar holds.

  npm run bench -- [--quick] [--rows NAME,NAME] [--rounds N] [--json FILE]

  --quick         about three minutes: short rounds of the rows with bars, with direct, nginx and lmstack only
  --rows NAMES    only these: ${rowNames.join(", ")}
  --rounds N      rounds that count, after one that warms up (5 at least for a claim)
  --json FILE     writes rows, figures, machine and layout there

The bars are measured with Node's own HTTP client and server on both sides, as the figures were that they come from. The row "limits" repeats some of
them with a load side that costs as little as it can, which shows how far each peer can go; "turn" is a real Codex turn, whose tools have to be
translated. No bar hangs on those two. "conversation" is what turn 30 of a growing Codex conversation costs beyond passing it on, in CPU time.

A full run of all rows also writes bench/results/. Peers are installed when they are missing: nginx-light and haproxy by apt (as root), LiteLLM
by pip into .lmstack/bench. The exit status is 1 when a bar falls short, 2 when the command line is wrong.`;

/** Undefined when only the help is wanted. Throws `TypeError` in words. */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      rows: { type: "string" },
      rounds: { type: "string", default: "5" },
      json: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  const all = rowNames.filter((row) => !(values.quick && withoutBars.includes(row)));
  const rows = values.rows?.split(",").filter(Boolean) ?? all;
  const wrong = rows.filter((row) => !(rowNames as readonly string[]).includes(row));
  if (wrong.length > 0) throw new TypeError(`--rows: ${wrong.join(", ")} is unknown; there are ${rowNames.join(", ")}`);
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new TypeError(`--rounds: ${values.rounds} is no whole number from 1`);
  return { quick: values.quick, rows: rows as RowName[], rounds, json: values.json };
}

/** How much work is in one round of each row. */
export interface Sizes {
  readonly small: number;
  readonly codex: number;
  readonly megabyte: number;
  /** Per stream, 5 ms apart. */
  readonly streamTokens: number;
  /** Of 16 at once. */
  readonly streamRequests: number;
  readonly firehoseTokens: number;
  readonly restSeconds: number;
  readonly cancels: number;
  readonly starts: number;
  /** Of 30 turns each. */
  readonly conversations: number;
}

export const fullSizes: Sizes = {
  small: 8_000,
  codex: 4_000,
  megabyte: 400,
  streamTokens: 400,
  streamRequests: 32,
  firehoseTokens: 30_000,
  restSeconds: 5,
  cancels: 200,
  starts: 15,
  conversations: 40,
};

export const quickSizes: Sizes = {
  small: 4_000,
  codex: 2_000,
  megabyte: 200,
  streamTokens: 200,
  streamRequests: 16,
  firehoseTokens: 10_000,
  restSeconds: 2,
  cancels: 200,
  starts: 5,
  conversations: 15,
};
