/** Numbers in the form in which people read them. */

const grouped = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

export const whole = (value: number): string => grouped.format(value);

/** One digit behind the point where it tells something. */
export const rate = (value: number): string => (value < 10 ? value.toFixed(1) : whole(value));

export function milliseconds(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  return ms < 100_000 ? `${(ms / 1000).toFixed(ms < 9_950 ? 1 : 0)} s` : duration(ms / 1000);
}

/** Two units at most: `12 days 3 h`, `4 min`. */
export function duration(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(total / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days > 0) return `${days} ${days === 1 ? "day" : "days"} ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min` : `${total} s`;
}

/** By the minute, so that a page does not change each second for it. */
export function ago(at: number, now: number): string {
  const seconds = (now - at) / 1000;
  return seconds < 60 ? "just now" : `${duration(seconds)} ago`;
}

export const gibibytes = (bytes: number): string => (bytes / 1_073_741_824).toFixed(1);

export const counted = (count: number, one: string, more: string): string =>
  `${whole(count)} ${count === 1 ? one : more}`;

const longestLine = 1_000;

/** Of a stranger: on one line, without control characters, and no longer than a page can bear. */
export function tame(text: string, longest = longestLine): string {
  const cut = text.length > longest ? `${text.slice(0, longest - 1)}…` : text;
  return cut.toWellFormed().replace(/\p{Cc}+/gu, " ");
}
