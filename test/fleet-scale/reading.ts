/** What the proxy of a host with so many requests has counted, and nothing else. */
import type { Reading } from "../../infra/fleet/metrics.ts";

export function asked(running: number): Reading {
  const none = { seconds: 0, count: 0 };
  const coder = { running, queued: 0, slots: 4, outputTokens: 0, thoughts: 0, firstToken: none, betweenTokens: none };
  return { at: 0, since: 1, ready: true, requests: 0, errors: 0, models: { coder } };
}
