/** What the supervisor did, one JSON line each: it works unseen, so this is how a person learns of it. */
import { appendFile, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { JournalEntry } from "../infra/spec/host-documents.ts";
import { readText, writeAtomic } from "./atomic-file.ts";
import type { Host } from "./host.ts";

const mostBytes = 262_144;
const shown = 50;

/** Never rejects: a full disk must not stop the repair that is told of. */
export async function note(host: Host, entry: Omit<JournalEntry, "at">, now = new Date()): Promise<void> {
  const path = journalPath(host);
  const { what, why, result, ok } = entry;
  const line = JSON.stringify({ at: now.toISOString(), what, why, result: result.slice(0, 1000), ok });
  try {
    await mkdir(host.paths.state, { recursive: true, mode: 0o700 });
    await appendFile(path, `${line}\n`, { mode: 0o600 });
    if ((await stat(path)).size > mostBytes) await writeAtomic(path, newerHalf((await readText(path)) ?? ""));
  } catch (error) {
    host.say(`note: the journal could not be written: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The newest last. A line that a kill cut off is left out. */
export async function readJournal(host: Host): Promise<JournalEntry[]> {
  const lines = ((await readText(journalPath(host))) ?? "").split("\n").slice(-shown - 1);
  return lines.flatMap((line) => entryOf(line) ?? []).slice(-shown);
}

function newerHalf(text: string): string {
  const half = text.slice(-mostBytes / 2);
  return half.slice(half.indexOf("\n") + 1);
}

function entryOf(line: string): JournalEntry | null {
  try {
    const { at, what, why, result, ok } = JSON.parse(line) as Record<string, unknown>;
    const words = [at, what, why, result].every((one) => typeof one === "string");
    return words
      ? { at: String(at), what: String(what), why: String(why), result: String(result), ok: ok === true }
      : null;
  } catch {
    return null;
  }
}

const journalPath = (host: Host) => join(host.paths.state, "journal.jsonl");
