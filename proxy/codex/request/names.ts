/** One flat name for each tool of a client that has namespaces and kinds of tools. The same tools get the same names in each turn, whatever their order. */
import { createHash } from "node:crypto";
import { searchName } from "../../search/tool.ts";
import type { CallOrigin } from "../calls.ts";

/** OpenAI's limit, which engines have taken over: `[A-Za-z0-9_-]{1,64}`. */
const longest = 64;
const hashLength = 8;
/** Codex puts its own tools in a namespace of this name where it would otherwise have none (openai/codex 0.147 and newer). */
const implicitNamespace = "functions";

/** What two origins must share to be one tool. */
export function keyOf(origin: CallOrigin): string {
  if (origin.kind === "tool-search" || origin.kind === "web-search") return origin.kind;
  return JSON.stringify([origin.kind, origin.namespace ?? null, origin.name]);
}

/** `functions` is no namespace. */
export function originOf(kind: "function" | "custom", name: string, namespace: unknown): CallOrigin {
  if (typeof namespace !== "string" || namespace === "" || namespace === implicitNamespace) return { kind, name };
  return { kind, name, namespace };
}

/** A function that is called as it is: its name is its own. */
export function isPlain(origin: CallOrigin): boolean {
  return origin.kind === "function" && origin.namespace === undefined && flatName(origin) === origin.name;
}

/** The name of a tool that no other one's is in the way of. */
export function flatName(origin: CallOrigin): string {
  const wished = wishedName(origin);
  const legal = wished.replace(/[^A-Za-z0-9_-]/gu, "_");
  return legal === "" || legal.length > longest ? hashedName(origin, 0) : legal;
}

/**
 * By `keyOf`. Where several want one name, a plain function keeps it and all others get a hash behind theirs.
 * Two plain functions of one name are one tool.
 */
export function assignNames(origins: Iterable<CallOrigin>): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  const wishes = new Map<string, number>();
  const others: CallOrigin[] = [];
  for (const origin of origins) {
    const name = flatName(origin);
    if (isPlain(origin)) {
      names.set(keyOf(origin), name);
      taken.add(name);
    } else {
      others.push(origin);
      wishes.set(name, (wishes.get(name) ?? 0) + 1);
    }
  }
  for (const origin of others) {
    let name = flatName(origin);
    if (taken.has(name) || wishes.get(name) !== 1) {
      let salt = 0;
      do name = hashedName(origin, salt++);
      while (taken.has(name) || wishes.has(name));
    }
    names.set(keyOf(origin), name);
    taken.add(name);
  }
  return names;
}

function wishedName(origin: CallOrigin): string {
  if (origin.kind === "tool-search") return "tool_search";
  if (origin.kind === "web-search") return searchName;
  return origin.namespace === undefined ? origin.name : `${origin.namespace}__${origin.name}`;
}

function hashedName(origin: CallOrigin, salt: number): string {
  const hash = createHash("sha256")
    .update(`${salt}${keyOf(origin)}`)
    .digest("hex")
    .slice(0, hashLength);
  const legal = wishedName(origin).replace(/[^A-Za-z0-9_-]/gu, "_");
  return `${legal.slice(0, longest - hashLength - 1)}_${hash}`;
}
