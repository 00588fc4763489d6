/** Maintenance windows: whether one is open at a moment, and when the next one opens. Pure; the moment is given. */
import type { MaintenanceWindow } from "./inventory.ts";

const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

export interface WindowState {
  readonly open: boolean;
  /** When it opens next, in its own zone; null when it is open. */
  readonly opens: Temporal.ZonedDateTime | null;
}

export function windowAt({ days, from, to, zone }: MaintenanceWindow, now: Temporal.Instant): WindowState {
  const today = now.toZonedDateTimeISO(zone).toPlainDate();
  let opens: Temporal.ZonedDateTime | null = null;
  // One that opened yesterday may still be open; in a week from now every day has been.
  for (let offset = -1; offset <= 7; offset++) {
    const day = today.add({ days: offset });
    if (days !== undefined && !days.includes(weekdays[day.dayOfWeek - 1] as (typeof weekdays)[number])) continue;
    const begin = day.toZonedDateTime({ timeZone: zone, plainTime: from });
    const lastDay = to > from ? day : day.add({ days: 1 });
    const end = lastDay.toZonedDateTime({ timeZone: zone, plainTime: to });
    if (Temporal.Instant.compare(begin.toInstant(), now) > 0) opens ??= begin;
    else if (Temporal.Instant.compare(now, end.toInstant()) < 0) return { open: true, opens: null };
  }
  return { open: false, opens };
}
