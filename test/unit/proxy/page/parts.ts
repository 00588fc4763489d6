/** What a page is made from, plain and small; each test changes what it is about. */
import type { SnapshotParts } from "../../../../proxy/page/snapshot.ts";
import type { RecentError } from "../../../../proxy/seeing/series.ts";

export const now = Date.parse("2026-03-01T12:00:00Z");

export const parts: SnapshotParts = {
  now,
  config: { models: { m: { thinking: "off" } }, upstream: "http://127.0.0.1:8081", keys: [] },
  problem: undefined,
  ending: false,
  readiness: { ready: true, reason: "All declared models are loaded.", models: {} },
  loaded: new Map([["m", { reasoning: undefined, parallel: 2, contextLength: 200_000 }]]),
  queues: [],
  slotsOf: () => 2,
  series: { bucketSeconds: 10, end: "2026-03-01T12:00:00Z", models: [], recentErrors: [] },
  gpus: [],
  version: "0.1.0",
  startedAt: now - 3_600_000,
  openStreams: 0,
  connections: 1,
};

export const error = (fields: Partial<RecentError> = {}): RecentError => ({
  at: "2026-03-01T11:58:00Z",
  requestId: "r",
  model: "m",
  status: 503,
  code: "queue_full",
  message: "The model is busy.",
  times: 1,
  ...fields,
});

export const idle = { running: 0, claimed: 0, queued: 0, heldUntil: null, missing: false };
