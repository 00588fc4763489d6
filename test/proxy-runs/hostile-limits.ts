/** Limits so small that what goes beyond them is soon there. */
export const bodyBytes = 131_072;

export const hostileLimits = {
  bodyBytes,
  headerBytes: 16_384,
  headerSeconds: 0.4,
  bodySeconds: 0.4,
  readerSeconds: 0.4,
  wrongKeys: 10_000,
};
