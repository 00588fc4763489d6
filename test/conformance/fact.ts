/** What LM Studio is documented to do, one thing a fact: told in words, and asked of a place where an LM Studio is, the stand-in or a real one. */
import type { Traps } from "../lmstudio-sim/traps.ts";
import type { Place } from "./place.ts";
import type { Scratch } from "./scratch.ts";

interface Told {
  /** `LMS-012`: never given to another fact. */
  readonly id: `LMS-${number}`;
  /** What LM Studio does. */
  readonly words: string;
  /** `lms src/…` and `lmstudio-js …`: its source; `docs …`: its documentation; `BT#n`, `lms#n`: its bug trackers; `seen`: what others saw. */
  readonly source: string;
  /** Of llmster, where it is known to hold for some only. */
  readonly version?: string;
  /** What lmstack does about it, for the table in the docs. */
  readonly lmstack: string;
}

/** What has to be there for the question to be asked. Each includes those before it. */
export const needs = ["nothing", "daemon", "server", "model", "thinker"] as const;
export type Need = (typeof needs)[number];

interface Reading extends Told {
  readonly needs: Need;
  /** Changes nothing and starts nothing; it may ask a loaded model something short. */
  readonly reads: (place: Place) => Promise<void>;
}

interface Changing extends Told {
  /** Asked in a home of its own. */
  readonly changes: (scratch: Scratch) => Promise<void>;
  /** What has to happen to LM Studio for the fact to show. A real one cannot be told to do that. */
  readonly traps?: Partial<Traps>;
  /** The stand-in's; of a real LM Studio the question is asked whatever its version, unless it is of some versions only. */
  readonly llmster?: string;
  /** Why a real LM Studio is not asked. */
  readonly onlyStandIn?: string;
}

export type Fact = Reading | Changing;

/** Null when a real LM Studio can be asked. */
export function whyNotReal(fact: Fact): string | null {
  if ("reads" in fact) return null;
  if (fact.onlyStandIn !== undefined) return fact.onlyStandIn;
  if (fact.traps !== undefined) return "a real LM Studio cannot be made to do it";
  return fact.llmster === undefined ? null : `it is about llmster ${fact.llmster}`;
}
