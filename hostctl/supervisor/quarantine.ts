/** When the supervisor stops trying: pure. No fault may become a loop that nobody sees, and none may stay for ever because nobody looked. */
import type { ErrorCode } from "../../infra/spec/host-documents.ts";
import type { Action } from "./decide.ts";

export interface Failed {
  readonly count: number;
  readonly retryAt: number;
  readonly code: ErrorCode;
  readonly reason: string;
  readonly hint: string;
}

/** Failures in a row, or repairs that did not last, within the window. */
export const quarantineAfter = 5;
const windowMs = 300_000;
/** A repair whose effect is gone sooner did not help. */
const lastedMs = 60_000;
const slowMs = 300_000;
const never = Number.MAX_SAFE_INTEGER;

/** Whether the obstacle is gone is seen without any call of `lms`, so looking often costs nothing and needs no quarantine. */
const cheap: readonly ErrorCode[] = ["port_in_use", "gui_owns_daemon", "file_missing"];

/**
 * Doubling from 2 s to a minute. What failed five times is quarantined: a load until somebody declares anew or asks, since it would fail
 * again and costs the other models; the rest, without which nothing serves, is tried again every five minutes. A load that is to take the
 * place of another is tried once: what served before can serve on, and each attempt may stop its requests.
 */
export function afterFailure(
  before: Failed | undefined,
  action: Action,
  why: Pick<Failed, "code" | "reason" | "hint">,
  now: number,
): Failed {
  const count = (before?.count ?? 0) + 1;
  const waitMs = Math.min(2000 * 2 ** (count - 1), 60_000);
  if (action.do === "swap" || (action.do === "load" && action.once)) return { ...why, count, retryAt: never };
  if (cheap.includes(why.code)) return { ...why, count, retryAt: now + Math.min(waitMs, 16_000) };
  if (count < quarantineAfter) return { ...why, count, retryAt: now + waitMs };
  if (action.do === "load") return { ...why, count, retryAt: never };
  return slowly(count, why, now);
}

/** Failed so often that nobody should wait for it, whether it is tried again or not. */
export function quarantined(failed: Failed | undefined): boolean {
  return failed !== undefined && (failed.count >= quarantineAfter || givenUp(failed));
}

/** Not tried again by itself. */
export function givenUp(failed: Failed | undefined): boolean {
  return failed?.retryAt === never;
}

/** Times, in ms, at which an action was done and at which it had to be done again too soon. */
export interface Course {
  readonly doneAt: number | null;
  readonly relapses: readonly number[];
}

export const fresh: Course = { doneAt: null, relapses: [] };

/** Call before an action is done. A quarantine when its effect never lasts, although each time it succeeds; then it is not done. */
export function beforeRepair(
  course: Course,
  words: string,
  now: number,
): { course: Course; quarantined: Failed | null } {
  const lately = course.relapses.filter((at) => now - at < windowMs);
  const relapsed = course.doneAt !== null && now - course.doneAt < lastedMs;
  const relapses = relapsed ? [...lately, now] : lately;
  if (!relapsed || relapses.length < quarantineAfter) return { course: { ...course, relapses }, quarantined: null };
  const why = {
    code: "daemon_failed",
    reason: `${words} was needed again and again: it succeeded, and within a minute its effect was gone, ${relapses.length} times in ${windowMs / 60_000} minutes`,
    hint: "look at ~/.lmstudio/server-logs on the host",
  } as const;
  return { course: fresh, quarantined: slowly(relapses.length, why, now) };
}

function slowly(count: number, why: Pick<Failed, "code" | "reason" | "hint">, now: number): Failed {
  const retryAt = now + slowMs;
  const reason = `${why.reason.replace(/ \(quarantined: .*\)$/, "")} (quarantined: tried again every ${slowMs / 60_000} minutes, next at ${new Date(retryAt).toISOString().slice(11, 19)} UTC, or by \`up\`)`;
  return { ...why, reason, count, retryAt };
}
