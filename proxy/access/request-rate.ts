/** Requests per minute of one key: a bucket that holds a minute's worth and fills evenly, so that a pause may be followed by a burst. */

/** Pure: a new one begins full. `at` is in milliseconds. */
export interface Bucket {
  readonly level: number;
  readonly at: number;
}

export interface Taken {
  readonly bucket: Bucket;
  /** Milliseconds until one more request is allowed; 0 when this one is. */
  readonly waitMs: number;
}

/** Less than one request a minute still allows one at a time. */
const capacityOf = (perMinute: number): number => Math.max(1, perMinute);

/** Takes one request out of the bucket if it holds one. A clock that was set back only stops the filling. */
export function take(bucket: Bucket | undefined, perMinute: number, now: number): Taken {
  const capacity = capacityOf(perMinute);
  const perMs = perMinute / 60_000;
  const since = bucket === undefined ? 0 : Math.max(0, now - bucket.at);
  // A limit that was lowered meanwhile holds at once.
  const level = bucket === undefined ? capacity : Math.min(capacity, bucket.level + since * perMs);
  if (level >= 1) return { bucket: { level: level - 1, at: now }, waitMs: 0 };
  return { bucket: { level, at: now }, waitMs: (1 - level) / perMs };
}
