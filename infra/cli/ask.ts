/** Questions to the person at the terminal, on stderr. */
import { createInterface } from "node:readline/promises";
import { changeLines } from "./change-lines.ts";
import { CliFault } from "./fault.ts";
import type { StackFile } from "./stack-file.ts";

/**
 * Shows what changes in the file, on stderr, and asks before somebody's file is changed; a new one is nobody's yet.
 * @throws CliFault when nobody agrees or nobody is there to ask
 */
export async function agreeOn(
  { name }: StackFile,
  before: string | undefined,
  after: string,
  yes: boolean | undefined,
): Promise<void> {
  if (before === after) return;
  console.error(changeLines({ name, before, after, mode: 0o644 }).join("\n"));
  if (before === undefined || yes) return;
  await agree(
    `write this into ${name}?`,
    `${name} was not changed: there is no terminal to ask at. Next: the same with --yes`,
  );
}

/** @throws CliFault unless a person at the terminal says yes */
export async function agree(question: string, nobody: string): Promise<void> {
  if (!process.stdin.isTTY) throw new CliFault(nobody);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CliFault("nothing was changed");
  } finally {
    asking.close();
  }
}
