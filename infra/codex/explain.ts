/** Why a turn of Codex failed, in words that lead on. */

/** The version that all of this was tried with. */
export const testedCodex = "0.169.0";
export const installLine = `npm install --global @openai/codex@${testedCodex}`;

export interface FailedTurn {
  /** Everything that Codex printed. */
  readonly said: string;
  readonly timedOut: boolean;
  readonly version: string;
  readonly variable: string;
  readonly profile: string;
  readonly model: string;
  /** HTTP_PROXY as Codex saw it. */
  readonly httpProxy: string | undefined;
}

type Reason = readonly [pattern: RegExp, words: (turn: FailedTurn, match: RegExpExecArray) => string];

/** The first that fits. */
const reasons: readonly Reason[] = [
  [
    /Missing environment variable: `(\w+)`/,
    ({ profile }, [, variable]) =>
      `the key is missing: ${variable} is not set. Next: source ${profile}.env, or start codex-${profile}`,
  ],
  [
    /--profile `[^`]*` cannot be used|legacy `profile = /,
    () =>
      "Codex's config.toml holds profiles of the old form. Next: move them into files of their own and remove them there",
  ],
  [
    /reserved built-in provider IDs: `([\w-]+)`/,
    (_, [, id]) => `the name ${id} is built into Codex. Next: rename that provider`,
  ],
  [
    /unexpected argument|unrecognized configuration|unknown configuration field|unknown variant/,
    () => "this Codex does not know what the profile or the command asks for",
  ],
  [
    /ran out of room in the model's context window/,
    ({ model }) => `the window of ${model} is too small even for the first turn. Next: a larger load.contextLength`,
  ],
  [
    /unexpected status 401/,
    ({ variable }) => `the key in ${variable} is not known there. Next: \`lmstack keys list\`, then install again`,
  ],
  [
    /unexpected status 403/,
    ({ model }) => `the key may not use ${model}. Next: \`lmstack keys list\` shows what it may use`,
  ],
  [
    /unexpected status 404/,
    ({ model }) => `${model} is not served there. Next: \`lmstack status\` tells what is loaded`,
  ],
  [
    /unexpected status 503|is at capacity/,
    ({ model }) => `the endpoint has no room or is still loading ${model}. Next: \`lmstack status\`, and try again`,
  ],
  [
    /waiting for network|Connection failed|error sending request/,
    ({ httpProxy }) =>
      httpProxy === undefined
        ? "Codex could not reach the endpoint, although it answers here. Next: look for a firewall around Codex"
        : `Codex asks through HTTP_PROXY=${httpProxy}. Next: put the host into NO_PROXY, as the .env file does`,
  ],
];

export function explain(turn: FailedTurn): string {
  const said = turn.said.replaceAll("\\n", "\n");
  const found = reasons.flatMap(([pattern, words]) => {
    const match = pattern.exec(said);
    return match === null ? [] : [words(turn, match)];
  })[0];
  const last = /^.*\b(?:ERROR|Error|error)\b.*$/gm;
  const own = [...new Set(said.match(last) ?? [])].slice(-3).map((line) => `  codex: ${line.trim().slice(0, 400)}`);
  const lines = [found ?? (turn.timedOut ? slow(turn) : "Codex failed")];
  if (isOlder(turn.version, testedCodex))
    lines.push(
      `this Codex is ${turn.version}, older than ${testedCodex}, with which this was tried. Next: ${installLine}`,
    );
  return [...lines, ...own].join("\n");
}

const slow = ({ model }: FailedTurn): string =>
  `${model} did not come to an answer in time. Next: \`lmstack status\`, or more time with --timeout`;

export function isOlder(version: string, than: string): boolean {
  const parts = (text: string): number[] => text.split(".").map((part) => Number.parseInt(part, 10) || 0);
  const [a, b] = [parts(version), parts(than)];
  for (const [index, part] of b.entries()) {
    if ((a[index] ?? 0) !== part) return (a[index] ?? 0) < part;
  }
  return false;
}
