/** Why a host cannot be worked with, from what failed when it was tried. */
import { findingsOf } from "../cli/findings.ts";
import type { Refusal } from "./plan.ts";

/** @throws whatever is a defect and nothing that a user can put right */
export function refusalOf(name: string, error: unknown): Refusal {
  const [first, ...more] = findingsOf(name, error);
  if (/no stack named/.test(first?.words ?? ""))
    return { why: "it has no stack yet", next: "`npx lmstack fleet sync`" };
  return {
    why: `${first?.words}${more.length > 0 ? `, and ${more.length} more` : ""}`,
    next: first?.fix ?? `\`npx lmstack doctor --stack ${name}\``,
  };
}
