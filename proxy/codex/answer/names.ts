/** Which tool of the client a call means. */
import type { CallOrigin, CallTable } from "../calls.ts";

export interface FoundOrigin {
  readonly origin: CallOrigin;
  /** The model used another name than it was told, and only one tool can be meant. */
  readonly repaired: boolean;
}

/** Undefined when no tool is meant, or more than one can be: the call passes as it is, and Codex tells the model that there is no such tool. */
export function originOf({ origins }: CallTable, called: string): FoundOrigin | undefined {
  const exact = origins.get(called);
  if (exact !== undefined) return { origin: exact, repaired: false };
  const name = cleaned(called);
  const meant: CallOrigin[] = [];
  for (const [flat, origin] of origins) if (formsOf(flat, origin).includes(name)) meant.push(origin);
  const [only] = meant;
  return only !== undefined && meant.length === 1 ? { origin: only, repaired: true } : undefined;
}

/** gpt-oss lets its channel marks into names (`exec_command<|channel|>commentary`) and calls everything `functions.…`. */
const cleaned = (name: string): string =>
  name
    .replace(/<\|.*$/s, "")
    .trim()
    .replace(/^functions\./, "");

/** Names under which models are seen to call a tool that they were told as `flat`: Codex's own, and what other clients make of a namespace. */
function formsOf(flat: string, origin: CallOrigin): readonly string[] {
  if (!("name" in origin)) return [flat];
  const { name, namespace } = origin;
  if (namespace === undefined) return [flat, name];
  return [flat, name, ...["__", ".", "/", ":", "_"].map((separator) => namespace + separator + name)];
}
