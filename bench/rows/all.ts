/** The rows that compare peers: what each of them does, and with which bars. */
import { firehoseBars, ours, oursStripping, type Row, requestBars, streamBars } from "../bars.ts";
import type { Contest, Contestant, ContestResult } from "../contest.ts";
import { type Metric, requestMetrics, streamMetrics } from "../figures.ts";
import { chatBody, codexBody } from "../load/request.ts";
import type { RowName, Sizes } from "../options.ts";
import type { PeerName, RunningPeer } from "../peers/peer.ts";
import type { StandIn } from "../stand-in.ts";
import { requestContest } from "./requests.ts";
import { streamContest } from "./streams.ts";

export interface ComparedRow {
  readonly contest: Contest;
  readonly metrics: readonly Metric[];
  /** Metric that the picture shows. */
  readonly drawn: string;
  readonly bars: (result: ContestResult) => readonly Row[];
}

export type RunningPeers = ReadonlyMap<PeerName, RunningPeer>;

/** The slow ones get less to do: a row would take minutes for what a few seconds show. */
const slowShare: Partial<Record<PeerName, number>> = { ancestor: 0.05, litellm: 0.02 };
/** A stream with gaps takes its time at everybody's, so only the one that cannot keep up gets less. */
const streamShare: Partial<Record<PeerName, number>> = { litellm: 0.25 };

function contestants(peers: RunningPeers, model: string, shares = slowShare): Contestant[] {
  return [...peers].map(([label, peer]) => ({ label, peer, model, share: shares[label] ?? 1 }));
}

/** Undefined for rows that are no comparison. */
export function comparedRow(
  name: RowName,
  peers: RunningPeers,
  standIn: StandIn,
  sizes: Sizes,
): ComparedRow | undefined {
  const requests = (
    row: { title: string; path: string; body: (model: string) => string; connections: number; requests: number },
    bars: ComparedRow["bars"],
  ): ComparedRow => ({
    contest: requestContest({ name, ...row }, contestants(peers, "bench"), standIn),
    metrics: requestMetrics,
    drawn: "requests/s",
    bars,
  });
  switch (name) {
    case "small":
      return requests(
        {
          title: "small JSON, 16 connections",
          path: "/v1/chat/completions",
          body: (model) => chatBody(model, false),
          connections: 16,
          requests: sizes.small,
        },
        (result) => requestBars(result, 0.65),
      );
    case "codex":
      return requests(
        {
          title: "48 KB Codex body, no-think on, 8 connections",
          path: "/v1/responses",
          body: (model) => codexBody(model, 48 * 1_024),
          connections: 8,
          requests: sizes.codex,
        },
        (result) => requestBars(result, 0.55, 4),
      );
    case "megabyte":
      return requests(
        {
          title: "1 MB body, no-think on, 4 connections",
          path: "/v1/responses",
          body: (model) => codexBody(model, 1_024 * 1_024),
          connections: 4,
          requests: sizes.megabyte,
        },
        (result) => requestBars(result, 0.75),
      );
    case "streams": {
      const { streamTokens: tokens, streamRequests } = sizes;
      const row = { name, title: "16 streams, 5 ms apart", streams: 16, requests: streamRequests, tokens, gapMs: 5 };
      const all = contestants(peers, "bench", streamShare);
      return {
        contest: streamContest(row, all, standIn),
        metrics: streamMetrics,
        drawn: "relay p50",
        bars: streamBars,
      };
    }
    case "firehose": {
      const tokens = sizes.firehoseTokens;
      const row = { name, title: "firehose, 4 streams", streams: 4, requests: 4, tokens, gapMs: 0 };
      const all = contestants(peers, "bench-client").flatMap((contestant) =>
        contestant.label === ours
          ? [contestant, { ...contestant, label: oursStripping, model: "bench" }]
          : [contestant],
      );
      return {
        contest: streamContest(row, all, standIn),
        metrics: streamMetrics,
        drawn: "tokens/s",
        bars: firehoseBars,
      };
    }
    default:
      return undefined;
  }
}
