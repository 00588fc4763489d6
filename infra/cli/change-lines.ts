/** Changes of files as a person reads them before they are made. */
import { diff } from "node:util";
import type { Change } from "../codex/install.ts";

const around = 2;
const longest = 160;

/** One file's lines with `-` and `+`, and two lines around each change. Values of keys are not shown. */
export function changeLines({ name, before, after }: Change): string[] {
  const verb = before === undefined ? "new" : after === undefined ? "removed" : "changed";
  const operations = diff(linesOf(after), linesOf(before)) as [number, string][];
  const lines: string[] = [];
  for (const [index, [operation, line]] of operations.entries()) {
    const near = operations.slice(Math.max(0, index - around), index + around + 1).some(([other]) => other !== 0);
    if (near) lines.push(`  ${operation > 0 ? "+" : operation < 0 ? "-" : " "} ${shown(line)}`);
    else if (lines.at(-1) !== "    …") lines.push("    …");
  }
  return [`${name} (${verb})`, ...lines];
}

const linesOf = (text: string | undefined): string[] => (text === undefined ? [] : text.replace(/\n$/, "").split("\n"));

function shown(line: string): string {
  const open = line.replace(/^((?:export )?\w*(?:KEY|TOKEN|SECRET)\w*=).+/i, "$1(hidden)");
  return open.length > longest ? `${open.slice(0, longest)}…` : open;
}
