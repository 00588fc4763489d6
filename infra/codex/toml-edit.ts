/**
 * Changes single keys of a TOML file and leaves every other byte alone, comments too; a parser that prints again would lose them. Works on the places of
 * statements in the text, and proves by parsing that it did what it says.
 */
import { isDeepStrictEqual } from "node:util";
import { parse, type TomlTable } from "smol-toml";

interface Header {
  readonly kind: "header";
  /** Undefined inside an array of tables, where no key of ours lives. */
  readonly path: readonly string[] | undefined;
  readonly start: number;
  readonly end: number;
}

export interface Pair {
  readonly kind: "pair";
  /** From the root, through the table that it stands in. */
  readonly path: readonly string[] | undefined;
  readonly table: readonly string[];
  /** As it is written. */
  readonly value: string;
  readonly start: number;
  readonly valueStart: number;
  readonly valueEnd: number;
  /** Behind the end of its last line. */
  readonly end: number;
}

type Statement = Header | Pair;

const same = (a: readonly string[] | undefined, b: readonly string[]): boolean =>
  a !== undefined && a.length === b.length && a.every((step, index) => step === b[index]);
const below = (path: readonly string[] | undefined, table: readonly string[]): boolean =>
  path !== undefined && path.length > table.length && same(path.slice(0, table.length), table);

/** A dotted key as its steps, by the parser's own rules. */
function steps(key: string): string[] {
  const path: string[] = [];
  let node: unknown = parse(`${key} = 0`);
  while (typeof node === "object" && node !== null) {
    const [step = ""] = Object.keys(node);
    path.push(step);
    node = (node as TomlTable)[step];
  }
  return path;
}

/** Steps over a string that begins at `at`. */
function afterString(text: string, at: number): number {
  const quote = text[at] as string;
  const long = text.startsWith(quote.repeat(3), at);
  let next = at + (long ? 3 : 1);
  while (next < text.length) {
    if (quote === '"' && text[next] === "\\") next += 2;
    else if (!long && text[next] === quote) return next + 1;
    else if (long && text.startsWith(quote.repeat(3), next)) {
      next += 3;
      // Up to two quotes may stand right before the closing three.
      while (text[next] === quote) next++;
      return next;
    } else next++;
  }
  return next;
}

/** The first place from `at` on where `stop` holds, outside strings and brackets. */
function scan(text: string, at: number, stop: (character: string) => boolean): number {
  let depth = 0;
  let next = at;
  while (next < text.length) {
    const character = text[next] as string;
    if (depth === 0 && stop(character)) return next;
    if (character === '"' || character === "'") next = afterString(text, next);
    else if (character === "#") next = lineEnd(text, next);
    else {
      if (character === "[" || character === "{") depth++;
      if (character === "]" || character === "}") depth--;
      next++;
    }
  }
  return next;
}

const lineEnd = (text: string, at: number): number => {
  const end = text.indexOf("\n", at);
  return end === -1 ? text.length : end;
};

/** @param text is valid TOML */
export function statements(text: string): Statement[] {
  const found: Statement[] = [];
  const arrays: string[][] = [];
  let table: readonly string[] | undefined = [];
  let at = 0;
  while (at < text.length) {
    const character = text[at] as string;
    if (/\s/.test(character)) at++;
    else if (character === "#") at = lineEnd(text, at);
    else if (character === "[") {
      const array = text.startsWith("[[", at);
      const open = at + (array ? 2 : 1);
      const path = steps(
        text.slice(
          open,
          scan(text, open, (next) => next === "]"),
        ),
      );
      if (array) arrays.push(path);
      table = arrays.some((of) => same(path, of) || below(path, of)) ? undefined : path;
      const end = Math.min(
        lineEnd(
          text,
          scan(text, open, (next) => next === "]"),
        ) + 1,
        text.length,
      );
      found.push({ kind: "header", path: table, start: at, end });
      at = end;
    } else {
      const equals = scan(text, at, (next) => next === "=");
      const valueStart = equals + 1 + (/^[ \t]*/.exec(text.slice(equals + 1))?.[0].length ?? 0);
      const stop = scan(text, valueStart, (next) => next === "\n" || next === "#");
      const value = text.slice(valueStart, stop).trimEnd();
      const end = Math.min(lineEnd(text, stop) + 1, text.length);
      const key = steps(text.slice(at, equals));
      const path: string[] | undefined = table && [...table, ...key];
      const valueEnd = valueStart + value.length;
      found.push({ kind: "pair", path, table: table ?? [], value, start: at, valueStart, valueEnd, end });
      at = end;
    }
  }
  return found;
}

export const pairs = (text: string): Pair[] => statements(text).filter((statement) => statement.kind === "pair");
const pairAt = (text: string, path: readonly string[]): Pair | undefined =>
  pairs(text).find((pair) => same(pair.path, path));
const meaning = (value: string): unknown => parse(`v = ${value}`).v;

/** Keys that cannot be put where they belong without rewriting what somebody else wrote. */
export class TomlConflict extends Error {}

/** Every key of `ours` in `text`, with the value that it has there; everything else as it was. @throws TomlConflict */
export function mergeToml(text: string, ours: string): string {
  const wanted = merged(parse(text), parse(ours));
  let result = text === "" || text.endsWith("\n") ? text : `${text}\n`;
  for (const pair of pairs(ours)) result = withPair(result, pair);
  if (!isDeepStrictEqual(plain(parse(result)), plain(wanted)))
    throw new TomlConflict("its tables are written in a form into which no key can be put");
  return result;
}

function withPair(text: string, { path = [], table, value }: Pair): string {
  const there = pairAt(text, path);
  if (there !== undefined) {
    if (isDeepStrictEqual(meaning(there.value), meaning(value))) return text;
    return text.slice(0, there.valueStart) + value + text.slice(there.valueEnd);
  }
  const inline = pairs(text).find((pair) => pair.path !== undefined && below(path, pair.path));
  if (inline?.path !== undefined)
    throw new TomlConflict(
      `${inline.path.join(".")} is written in one line; write it as a table [${inline.path.join(".")}]`,
    );
  const all = statements(text);
  const header = all.findIndex(({ kind, path: of }) => kind === "header" && table.length > 0 && same(of, table));
  if (table.length > 0 && header === -1) {
    // Defined by dotted keys: a header of the same name would be a second definition.
    const dotted = all.findLast(
      (statement): statement is Pair => statement.kind === "pair" && below(statement.path, table),
    );
    if (dotted !== undefined) return inserted(text, dotted.end, line(path.slice(dotted.table.length), value));
    return `${text}${text.trim() === "" ? "" : "\n"}[${table.map(bare).join(".")}]\n${line(path.slice(table.length), value)}`;
  }
  const own = all.slice(header + 1);
  const next = own.findIndex(({ kind }) => kind === "header");
  const last = (next === -1 ? own : own.slice(0, next)).at(-1) ?? all[header];
  // Above every table, or it would belong to one.
  const blank = last === undefined && text !== "" ? "\n" : "";
  return inserted(text, last?.end ?? 0, line(path.slice(table.length), value) + blank);
}

const inserted = (text: string, at: number, added: string): string => text.slice(0, at) + added + text.slice(at);
const bare = (step: string): string => (/^[A-Za-z0-9_-]+$/.test(step) ? step : JSON.stringify(step));
const line = (key: readonly string[], value: string): string => `${key.map(bare).join(".")} = ${value}\n`;

/** `text` without a key, or with the value that it had before. A table that is empty then goes too, unless it says something else. */
export function withoutKey(text: string, path: readonly string[], before: string | undefined): string {
  const pair = pairAt(text, path);
  if (pair === undefined) return text;
  if (before !== undefined) return text.slice(0, pair.valueStart) + before + text.slice(pair.valueEnd);
  const lineStart = text.lastIndexOf("\n", pair.start - 1) + 1;
  return text.slice(0, lineStart) + text.slice(pair.end);
}

export const hasTable = (text: string, path: readonly string[]): boolean =>
  statements(text).some(({ kind, path: of }) => kind === "header" && same(of, path));

/** Takes away the header of a table that holds nothing, not even a comment, with the empty line above it. */
export function withoutEmptyTable(text: string, path: readonly string[]): string {
  const all = statements(text);
  const index = all.findIndex(({ kind, path: of }) => kind === "header" && same(of, path));
  const header = all[index];
  if (header === undefined) return text;
  const next = all[index + 1];
  const rest = text.slice(header.end, next?.start ?? text.length);
  // A comment below an empty line is about what follows.
  if (next?.kind === "pair" || (rest.split(/\n\s*\n|^\s*\n/)[0] ?? "").trim() !== "") return text;
  return text.slice(0, header.start).replace(/\n\n$/, "\n") + text.slice(header.end);
}

function merged(a: TomlTable, b: TomlTable): TomlTable {
  const result: TomlTable = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const there = result[key];
    result[key] = isTable(there) && isTable(value) ? merged(there, value) : value;
  }
  return result;
}

const isTable = (value: unknown): value is TomlTable => Object.prototype.toString.call(value) === "[object Object]";
/** Without what only the parser knows of its objects. */
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_key, inner) => (typeof inner === "bigint" ? `${inner}n` : inner)));
