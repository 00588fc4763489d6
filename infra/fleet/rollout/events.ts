/** What happens in a rollout, as one stream: a terminal, a CI log and a program each read it in their own form. */
import type { Phase, RolloutEntry } from "./journal.ts";

/** What is being done on a host; it ends in a phase of the journal. */
export type Doing = "draining" | "updating" | "proving" | "undraining";

export type Happening =
  | {
      readonly event: "begun";
      readonly revision: string | null;
      readonly hosts: readonly string[];
      readonly resumed: boolean;
    }
  | {
      readonly event: "previewed";
      readonly host: string;
      readonly changes: Readonly<Record<string, number>> | null;
      readonly why: string | null;
    }
  | {
      readonly event: "wave";
      readonly wave: number;
      readonly canary: boolean;
      readonly back: boolean;
      readonly hosts: readonly string[];
      /** Until the last host is through, about; null where nothing tells. */
      readonly secondsLeft: number | null;
    }
  /** Files go from host to host; `over` when they have, with what came of it. */
  | { readonly event: "spread"; readonly hosts: readonly string[]; readonly over: boolean; readonly words: string }
  | { readonly event: "host"; readonly host: string; readonly doing: Doing }
  /** Words of what is going on there, such as bytes of a download. */
  | { readonly event: "words"; readonly host: string; readonly words: string }
  | {
      readonly event: "host-ended";
      readonly host: string;
      readonly phase: Phase;
      readonly seconds: number;
      readonly why: string | null;
    }
  | { readonly event: "bake"; readonly hosts: readonly string[]; readonly secondsLeft: number; readonly words: string }
  | { readonly event: "held"; readonly host: string; readonly why: string; readonly next: string }
  | { readonly event: "stopping"; readonly why: string }
  | {
      readonly event: "ended";
      readonly state: RolloutEntry["state"];
      readonly why: string | null;
      readonly seconds: number;
    };

/** `at` is an ISO moment. */
export type RolloutEvent = { readonly at: string; readonly rollout: number } & Happening;

/** A line for a log. */
export const eventLine = (event: RolloutEvent): string => `${event.at.slice(11, 19)} ${wordsOf(event)}`;

function wordsOf(event: RolloutEvent): string {
  switch (event.event) {
    case "begun":
      return `rollout ${event.rollout}${event.resumed ? " goes on" : ""}: ${count(event.hosts.length)}${event.revision ? `, revision ${event.revision}` : ""}`;
    case "previewed":
      return `${event.host}: preview ${event.why === null ? changesWords(event.changes ?? {}) : `failed: ${event.why}`}`;
    case "wave":
      return `${event.back ? "going back" : `wave ${event.wave}${event.canary ? ", canary" : ""}`}: ${event.hosts.join(", ")}${
        event.secondsLeft === null ? "" : `; about ${Math.round(event.secondsLeft)} s left`
      }`;
    case "spread":
      return event.over ? `files: ${event.words}` : `files for ${count(event.hosts.length)}: ${event.words}`;
    case "host":
      return `${event.host}: ${event.doing}`;
    case "words":
      return `${event.host}: ${event.words}`;
    case "host-ended":
      // Why it had to go back was told when it failed.
      return `${event.host}: ${event.phase} after ${Math.round(event.seconds)} s${event.why === null || event.phase === "returned" ? "" : `: ${event.why}`}`;
    case "bake":
      return `${event.hosts.join(", ")}: ${event.secondsLeft > 0 ? `watched for ${Math.round(event.secondsLeft)} s more` : "watched"}: ${event.words}`;
    case "held":
      return `${event.host}: held: ${event.why}. Next: ${event.next}`;
    case "stopping":
      return `stopping, hosts go back to what they had: ${briefly(event.why)}`;
    case "ended":
      return `rollout ${event.rollout}: ${event.state} after ${Math.round(event.seconds)} s${event.why === null ? "" : `: ${briefly(event.why)}`}`;
  }
}

/** A proof that fails tells all that it asked; once is enough. */
const briefly = (why: string): string => why.split("\n", 1)[0] as string;

const count = (hosts: number): string => `${hosts} ${hosts === 1 ? "host" : "hosts"}`;

function changesWords(changes: Readonly<Record<string, number>>): string {
  const words = Object.entries(changes)
    .filter(([kind, number]) => kind !== "same" && number > 0)
    .map(([kind, number]) => `${number} to ${kind}`);
  return words.join(", ") || "changes nothing";
}
