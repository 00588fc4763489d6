/** A number of clients, each of which sends its next request when the last one is answered. */
import { performance } from "node:perf_hooks";
import { createClient, type LoadKind } from "./client.ts";
import type { LoadRequest } from "./request.ts";

export interface LoopFacts {
  readonly kind: LoadKind;
  readonly port: number;
  readonly connections: number;
  readonly requests: number;
  readonly request: LoadRequest;
}

export interface LoopResult {
  readonly seconds: number;
  /** Milliseconds of each answered request. */
  readonly times: readonly number[];
  /** Answers with another status than 200, and broken connections. */
  readonly errors: number;
  readonly firstError: string | undefined;
}

export async function closedLoop({ kind, port, connections, requests, request }: LoopFacts): Promise<LoopResult> {
  const times: number[] = [];
  let left = requests;
  let errors = 0;
  let firstError: string | undefined;
  const failed = (reason: string) => {
    errors++;
    firstError ??= reason;
  };
  const work = async () => {
    const client = createClient(kind, port);
    while (left-- > 0) {
      const started = performance.now();
      try {
        const { status } = await client.send(request);
        if (status === 200) times.push(performance.now() - started);
        else failed(`status ${status}`);
      } catch (error) {
        failed((error as Error).message);
      }
    }
    client.destroy();
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: connections }, work));
  return { seconds: (performance.now() - began) / 1_000, times, errors, firstError };
}
