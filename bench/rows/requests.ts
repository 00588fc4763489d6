/** Requests with one JSON answer: how many a second, how long each takes, and what that costs. */
import { accounted, type Contest, type Contestant } from "../contest.ts";
import { closedLoop } from "../load/closed-loop.ts";
import { postRequest } from "../load/request.ts";
import type { StandIn } from "../stand-in.ts";
import { percentile } from "../statistics.ts";

export interface RequestRow {
  readonly name: string;
  readonly title: string;
  readonly path: string;
  readonly body: (model: string) => string;
  readonly connections: number;
  readonly requests: number;
  /** Beside the ordinary ones. */
  readonly headers?: Readonly<Record<string, string>>;
}

export function requestContest(row: RequestRow, contestants: readonly Contestant[], standIn: StandIn): Contest {
  return {
    name: row.name,
    title: row.title,
    contestants,
    async measure({ peer, model, share }, size) {
      await standIn.answer({});
      const ordinary = postRequest(row.path, row.body(model));
      const request = { ...ordinary, headers: { ...ordinary.headers, ...row.headers } };
      const requests = Math.max(row.connections, Math.round(row.requests * share * size));
      const { result, peerMs, loadMs, memoryMb } = await accounted(peer, standIn, () =>
        closedLoop({ kind: standIn.kind, port: peer.port, connections: row.connections, requests, request }),
      );
      return {
        values: {
          rps: result.times.length / result.seconds,
          p50: percentile(result.times, 0.5),
          p99: percentile(result.times, 0.99),
          cpu: (peerMs / requests) * 1_000,
          rss: memoryMb,
          busy: (loadMs / (result.seconds * 1_000)) * 100,
        },
        errors: result.errors,
        firstError: result.firstError,
      };
    },
  };
}
