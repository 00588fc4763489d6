/** Event streams: how late each token comes, how late the first one, how many a second, and what a thousand of them cost. */
import { accounted, type Contest, type Contestant } from "../contest.ts";
import { chatBody, postRequest } from "../load/request.ts";
import { readStreams } from "../load/streams.ts";
import type { StandIn } from "../stand-in.ts";
import { percentile } from "../statistics.ts";

export interface StreamRow {
  readonly name: string;
  readonly title: string;
  readonly streams: number;
  readonly requests: number;
  readonly tokens: number;
  /** Milliseconds between two tokens; 0 is without a gap. */
  readonly gapMs: number;
}

export function streamContest(row: StreamRow, contestants: readonly Contestant[], standIn: StandIn): Contest {
  return {
    name: row.name,
    title: row.title,
    contestants,
    async measure({ peer, model, share }, size) {
      const { streams, gapMs } = row;
      // Fewer tokens rather than fewer streams: what is compared is a number of streams at once.
      const tokens = Math.max(10, Math.round(row.tokens * share * size));
      await standIn.answer({ tokens, gapMs });
      const request = postRequest("/v1/chat/completions", chatBody(model, true));
      const { result, peerMs, loadMs, memoryMb } = await accounted(peer, standIn, () =>
        readStreams({
          kind: standIn.kind,
          port: peer.port,
          streams,
          requests: row.requests,
          tokens,
          request,
          jitterMs: gapMs * 10,
        }),
      );
      return {
        values: {
          tps: result.tokens / result.seconds,
          relay50: percentile(result.relay, 0.5),
          relay99: percentile(result.relay, 0.99),
          first50: percentile(result.firstToken, 0.5),
          cpu: (peerMs / result.tokens) * 1_000,
          rss: memoryMb,
          busy: (loadMs / (result.seconds * 1_000)) * 100,
        },
        errors: result.errors,
        firstError: result.firstError,
      };
    },
  };
}
