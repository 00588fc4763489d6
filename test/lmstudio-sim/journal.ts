/** What the stand-in has been asked and has done, for tests only: nothing of it can be reached over HTTP. */
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";

export type JournalEntry = { readonly at: number } & (
  | {
      readonly event: "request";
      readonly id: number;
      readonly method: string;
      readonly path: string;
      readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
      /** Body exactly as received. */
      readonly body: string;
      readonly bodySha256: string;
    }
  /** Generation begins: a slot is held. */
  | { readonly event: "generate"; readonly id: number; readonly instance: string; readonly thinks: boolean }
  | { readonly event: "finish"; readonly id: number; readonly outputTokens: number; readonly reasoningTokens: number }
  /** The client went away; `tokens` had been made by then. */
  | { readonly event: "cancel"; readonly id: number; readonly tokens: number }
  | { readonly event: "refuse"; readonly id: number; readonly status: number; readonly message: string }
  | {
      readonly event: "load";
      readonly identifier: string;
      readonly path: string;
      readonly contextLength: number;
      readonly parallel: number;
      readonly jit: boolean;
    }
  | { readonly event: "unload"; readonly identifier: string }
  | { readonly event: "daemon"; readonly what: "start" | "exit"; readonly pid: number }
  | { readonly event: "server"; readonly what: "start" | "stop"; readonly port: number }
);

/** Distributes over the union, which `Omit` alone would not. */
type WithoutTime<T> = T extends unknown ? Omit<T, "at"> : never;
type JournalEvent = WithoutTime<JournalEntry>;

export interface Journal {
  add(entry: JournalEvent): void;
  entries(): JournalEntry[];
}

export function memoryJournal(): Journal {
  const entries: JournalEntry[] = [];
  return {
    add: (entry) => void entries.push({ at: Date.now(), ...entry } as JournalEntry),
    entries: () => [...entries],
  };
}

const journalFile = (lmstudioHome: string): string => join(lmstudioHome, ".internal", "sim-journal.jsonl");

/** Synchronous appends, so that a killed daemon leaves a complete record. */
export function fileJournal(lmstudioHome: string): Journal {
  return {
    add: (entry) => {
      try {
        appendFileSync(journalFile(lmstudioHome), `${JSON.stringify({ at: Date.now(), ...entry })}\n`);
      } catch {
        // The folder is gone when a host is cleaned up under a running daemon; a record is then of no use to anybody.
      }
    },
    entries: () => readJournal(lmstudioHome),
  };
}

export function readJournal(lmstudioHome: string): JournalEntry[] {
  let text: string;
  try {
    text = readFileSync(journalFile(lmstudioHome), "utf8");
  } catch {
    return [];
  }
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as JournalEntry);
}
