/** How facts are checked: node's own assertions, so that a test and the command tell a difference in the same words. */
import assert from "node:assert/strict";
import type { Ran } from "../place.ts";

export { assert };

/** Exit code, a piece of each stream; a stream that is not named is empty. */
export function ran(found: Ran, code: number, streams: { readonly out?: RegExp; readonly err?: RegExp } = {}): void {
  const told = `exit ${found.code}, stdout ${JSON.stringify(found.out)}, stderr ${JSON.stringify(found.err)}`;
  assert.equal(found.code, code, told);
  if (streams.out === undefined) assert.equal(found.out, "", told);
  else assert.match(found.out, streams.out, told);
  if (streams.err === undefined) assert.equal(found.err, "", told);
  else assert.match(found.err, streams.err, told);
}

/** The keys are there, each of its type; others may be. */
export function shape(found: unknown, types: Readonly<Record<string, string>>): void {
  assert.ok(typeof found === "object" && found !== null, `expected an object, found ${JSON.stringify(found)}`);
  for (const [key, type] of Object.entries(types)) {
    const value: unknown = (found as Record<string, unknown>)[key];
    const is: string = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
    assert.ok(type.split("|").includes(is), `${key}: expected ${type}, found ${is} in ${JSON.stringify(found)}`);
  }
}
