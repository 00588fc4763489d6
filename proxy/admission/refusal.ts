/**
 * Refusals of the queue, in words that Codex prints as they are. It tries again after a 503 and waits as long as Retry-After says; the code
 * `server_is_overloaded` would make it give up (observed with Codex 0.169).
 */
import { Fault } from "../errors/fault.ts";

/** What is said of a queue; `queue.ts` has it. */
interface Busy {
  readonly running: number;
  readonly claimed: number;
  readonly queued: number;
  readonly heldUntil: number | null;
  readonly missing: boolean;
  readonly retrySeconds: (places: number, now: number) => number;
}

export function fullFault(model: string, busy: Busy, now: number): Fault {
  const retryAfter = busy.retrySeconds(1, now);
  return new Fault(
    503,
    "queue_full",
    `The model "${model}" is busy: ${count(busy)}, and its queue takes no more. Try again in ${retryAfter} s; where that happens often, raise limits.queue or the model's slots.`,
    { retryAfter },
  );
}

export function timeoutFault(model: string, busy: Busy, queueSeconds: number, now: number): Fault {
  const retryAfter = busy.retrySeconds(busy.queued + 1, now);
  if (busy.missing) {
    return new Fault(
      503,
      "model_not_loaded",
      `LM Studio has not loaded the model "${model}", and this request waited for it as long as limits.queueSeconds allows (${queueSeconds} s). The supervisor loads it; "lmstack status" tells how far it is, or why it cannot. Try again in ${retryAfter} s.`,
      { retryAfter },
    );
  }
  const why = busy.heldUntil === null ? count(busy) : `it is being loaded anew, and ${busy.queued} more wait`;
  return new Fault(
    503,
    "queue_timeout",
    `This request waited for the model "${model}" as long as limits.queueSeconds allows (${queueSeconds} s) and did not have its turn: ${why}. Try again in ${retryAfter} s.`,
    { retryAfter },
  );
}

export function endingFault(model: string): Fault {
  return new Fault(
    503,
    "queue_timeout",
    `This request still waited for the model "${model}" when the proxy had to end. Try again in 1 s.`,
    { retryAfter: 1 },
  );
}

function count({ running, claimed, queued }: Busy): string {
  return `${running + claimed} run and ${queued} wait`;
}
