/** The rows that compare peers: what each of them does, and with which bars. */
import { firehoseBars, ours, oursStripping, type Row, requestBars, streamBars } from "../bars.ts";
import type { Contest, Contestant, ContestResult } from "../contest.ts";
import { type Metric, requestMetrics, streamMetrics } from "../figures.ts";
import { chatBody, codexSizeBody, codexTurnBody } from "../load/request.ts";
import type { RowName, Sizes } from "../options.ts";
import type { PeerName, RunningPeer } from "../peers/peer.ts";
import type { StandIn } from "../stand-in.ts";
import { type RequestRow, requestContest } from "./requests.ts";
import { type StreamRow, streamContest } from "./streams.ts";

export interface ComparedRow {
  readonly contest: Contest;
  readonly metrics: readonly Metric[];
  /** Label of the metric that the picture shows. */
  readonly drawn: string;
  readonly bars: (result: ContestResult) => readonly Row[];
}

/** Peers that run, with the stand-in behind them. */
export interface Stage {
  readonly standIn: StandIn;
  readonly peers: ReadonlyMap<PeerName, RunningPeer>;
}

/** The slow ones get less to do: a row would take minutes for what a few seconds show. */
const slowShare: Partial<Record<PeerName, number>> = { ancestor: 0.05, litellm: 0.02 };
/** A stream with gaps takes its time with everybody, so only the one that cannot keep up gets less. */
const streamShare: Partial<Record<PeerName, number>> = { litellm: 0.25 };

function contestants({ peers }: Stage, model: string, shares = slowShare): Contestant[] {
  return [...peers].map(([label, peer]) => ({ label, peer, model, share: shares[label] ?? 1 }));
}

function requestRow(name: "small" | "codex" | "megabyte", sizes: Sizes): RequestRow {
  switch (name) {
    case "small": {
      const body = (model: string) => chatBody(model, false);
      const title = "small JSON, 16 connections";
      return { name, title, path: "/v1/chat/completions", body, connections: 16, requests: sizes.small };
    }
    case "codex": {
      const body = (model: string) => codexSizeBody(model, 48 * 1_024);
      const title = "48 KB Codex-size body, no-think on, 8 connections";
      return { name, title, path: "/v1/responses", body, connections: 8, requests: sizes.codex };
    }
    case "megabyte": {
      const body = (model: string) => codexSizeBody(model, 1_024 * 1_024);
      const title = "1 MB body, no-think on, 4 connections";
      return { name, title, path: "/v1/responses", body, connections: 4, requests: sizes.megabyte };
    }
  }
}

/** Of nginx's figures; `cpu` at most. */
const requestBarsOf = { small: { rps: 0.65 }, codex: { rps: 0.55, cpu: 4 }, megabyte: { rps: 0.75 } };

function contestOf(row: RequestRow, stage: Stage): Contest {
  return requestContest(row, contestants(stage, "bench"), stage.standIn);
}

function requests(name: "small" | "codex" | "megabyte", stage: Stage, sizes: Sizes): ComparedRow {
  const contest = contestOf(requestRow(name, sizes), stage);
  const bar: { readonly rps: number; readonly cpu?: number } = requestBarsOf[name];
  return { contest, metrics: requestMetrics, drawn: "requests/s", bars: (result) => requestBars(result, bar) };
}

/** Without a bar: a Codex turn as it is, with a developer message and tools that have to be translated. */
function turn(stage: Stage, sizes: Sizes): ComparedRow {
  const body = (model: string) => codexTurnBody(model, 48 * 1_024);
  const title = "48 KB Codex turn with everything to translate, 8 connections";
  const row = { ...requestRow("codex", sizes), name: "turn", title, body };
  return withoutBars({ ...requests("codex", stage, sizes), contest: contestOf(row, stage) });
}

/** Without bars: the same work with a load side that costs next to nothing, so that each peer comes to its own limit. */
function limits(stage: Stage, sizes: Sizes): readonly ComparedRow[] {
  const rows = [requests("small", stage, sizes), requests("codex", stage, sizes), firehose(stage, sizes)];
  return rows.map((row) => {
    const { name, title } = row.contest;
    const words = { name: `${name}-limit`, title: `${title}, lightest load side` };
    return withoutBars({ ...row, contest: { ...row.contest, ...words } });
  });
}

function withoutBars(row: ComparedRow): ComparedRow {
  return { ...row, bars: () => [] };
}

function streams(stage: Stage, sizes: Sizes): ComparedRow {
  const row: StreamRow = {
    name: "streams",
    title: "16 streams, 5 ms apart",
    streams: 16,
    requests: sizes.streamRequests,
    tokens: sizes.streamTokens,
    gapMs: 5,
  };
  const contest = streamContest(row, contestants(stage, "bench", streamShare), stage.standIn);
  return { contest, metrics: streamMetrics, drawn: "relay p50", bars: streamBars };
}

/** Ours takes part twice: with thoughts left to the client, and with thoughts taken out. */
function firehose(stage: Stage, sizes: Sizes): ComparedRow {
  const title = "firehose, 4 streams";
  const row: StreamRow = { name: "firehose", title, streams: 4, requests: 4, tokens: sizes.firehoseTokens, gapMs: 0 };
  const all = contestants(stage, "bench-client").flatMap((contestant) =>
    contestant.label === ours ? [contestant, { ...contestant, label: oursStripping, model: "bench" }] : [contestant],
  );
  const contest = streamContest(row, all, stage.standIn);
  return { contest, metrics: streamMetrics, drawn: "tokens/s", bars: firehoseBars };
}

export const comparedNames = ["small", "codex", "megabyte", "streams", "firehose", "turn", "limits"] as const;
export type ComparedName = (typeof comparedNames)[number] & RowName;

export function comparedRows(name: ComparedName, stage: Stage, sizes: Sizes): readonly ComparedRow[] {
  switch (name) {
    case "streams":
      return [streams(stage, sizes)];
    case "firehose":
      return [firehose(stage, sizes)];
    case "turn":
      return [turn(stage, sizes)];
    case "limits":
      return limits(stage, sizes);
    default:
      return [requests(name, stage, sizes)];
  }
}
