// What changed between two sets of inputs, path by path. Any change updates; only `triggers` appearing or going away
// replaces here: a change inside it replaces because the SDK asks the engine for that (`replaceOnChanges`).

import { isMap, opaque, type Properties, same, type Value } from "./values.ts";

export type Kind = "add" | "delete" | "update";

export interface Change {
  readonly path: string;
  readonly kind: Kind;
  readonly replaces: boolean;
}

const REPLACING = new Set(["triggers"]);

function step(path: string, key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

function* children(
  path: string,
  before: Value,
  after: Value,
): Iterable<[string, Value | undefined, Value | undefined]> {
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    for (let i = 0; i < length; i++) yield [`${path}[${i}]`, before[i], after[i]];
  } else if (isMap(before) && isMap(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      yield [step(path, key), before[key], after[key]];
    }
  }
}

function* changesAt(path: string, before: Value | undefined, after: Value | undefined): Iterable<Change> {
  if (same(before, after)) return;
  const change = (kind: Kind): Change => ({ path, kind, replaces: REPLACING.has(path) });
  if (before === undefined) return yield change("add");
  if (after === undefined) return yield change("delete");
  if (opaque(before) || opaque(after) || Array.isArray(before) !== Array.isArray(after)) return yield change("update");
  for (const [deeper, old, now] of children(path, before, after)) yield* changesAt(deeper, old, now);
}

export function changes(before: Properties, after: Properties): Change[] {
  // The engine adds its own entries (`__defaults`, `version`), which say nothing about the command.
  const ours = (name: string): boolean => name !== "version" && !name.startsWith("__");
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(ours).sort();
  return names.flatMap((name) => [...changesAt(name, before[name], after[name])]);
}
