/** What a request's body is made of, without a word of what it says. */

export type JsonKind = "object" | "list" | "string" | "number" | "boolean" | "null";

export interface MemberShape {
  readonly name: string;
  readonly is: JsonKind;
  /** Characters of a string, elements of a list, members of an object. */
  readonly length?: number;
}

export interface BodyShape {
  readonly bytes: number;
  /** `invalid`: not JSON; `too-large`: not looked at. */
  readonly json: JsonKind | "invalid" | "too-large";
  /** Of a list at the top: its elements. */
  readonly length?: number;
  /** Of an object at the top, in the order in which they came. */
  readonly members?: readonly MemberShape[];
  /** Members with names that no API has; they could be somebody's words. */
  readonly otherMembers?: number;
}

/** Parsing more would hold up everybody's streams for more than some milliseconds. */
const mostBytes = 2 * 1024 * 1024;
const mostMembers = 64;
const apiName = /^[a-z][A-Za-z0-9_]{0,31}$/;

/** Never throws, whatever the bytes are. */
export function shapeOf(body: Buffer): BodyShape {
  const bytes = body.length;
  if (bytes > mostBytes) return { bytes, json: "too-large" };
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    return { bytes, json: "invalid" };
  }
  const { is, length } = kindOf(value);
  if (is !== "object") return { bytes, json: is, ...(is === "list" && length !== undefined ? { length } : {}) };
  const entries = Object.entries(value as object);
  const named = entries.filter(([name]) => apiName.test(name)).slice(0, mostMembers);
  const members = named.map(([name, member]) => ({ name, ...kindOf(member) }));
  const others = entries.length - members.length;
  return { bytes, json: is, members, ...(others === 0 ? {} : { otherMembers: others }) };
}

function kindOf(value: unknown): { readonly is: JsonKind; readonly length?: number } {
  if (value === null) return { is: "null" };
  if (Array.isArray(value)) return { is: "list", length: value.length };
  if (typeof value === "object") return { is: "object", length: Object.keys(value).length };
  if (typeof value === "string") return { is: "string", length: value.length };
  return { is: typeof value === "number" ? "number" : "boolean" };
}
