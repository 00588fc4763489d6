/** JSON objects as no printer would write them, whose members are often those that the rules look at. No key holds an escape. */
import type { Random } from "./random.ts";

const keys = [
  "reasoning",
  "reasoning_effort",
  "thinking",
  "messages",
  "model",
  "input",
  "tools",
  "text",
  "a",
  "",
  "é漢😀",
  "__proto__",
  "0",
];
const innerKeys = ["effort", "type", "role", "content", "summary", "a"];
const strings = [
  '"none"',
  '"off"',
  '"disabled"',
  '"high"',
  '"assistant"',
  '"user"',
  '"n\\u006fne"',
  '"\\"]},{[:"',
  '"</think>"',
  '"\\\\"',
  '""',
  '"\\ud83d"',
  '"é漢😀"',
];
const scalars = ["true", "false", "null", "0", "-0", "1.50e+3", "12345678901234567890", "1e999"];
const spaces = ["", "", "", " ", "\n", "\t \r\n"];

export function objectByChance(random: Random): string {
  return gap(random) + object(random, keys, 3) + gap(random);
}

const gap = (random: Random) => random.pick(spaces);

function object(random: Random, names: readonly string[], depth: number): string {
  const members = Array.from(
    { length: random.below(6) },
    () => `${gap(random)}"${random.pick(names)}"${gap(random)}:${gap(random)}${value(random, depth - 1)}${gap(random)}`,
  );
  return `{${members.length === 0 ? gap(random) : members.join(",")}}`;
}

function value(random: Random, depth: number): string {
  const kind = random.below(depth <= 0 ? 2 : 5);
  if (kind === 0) return random.pick(scalars);
  if (kind === 1) return random.pick(strings);
  if (kind === 2) return object(random, innerKeys, depth);
  const elements = Array.from(
    { length: random.below(4) },
    () =>
      gap(random) + (random.below(3) === 0 ? value(random, depth - 1) : object(random, innerKeys, depth)) + gap(random),
  );
  return `[${elements.length === 0 ? gap(random) : elements.join(",")}]`;
}
