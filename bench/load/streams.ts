/** Clients that read event streams, and look at the time in each token. */
import { setTimeout } from "node:timers/promises";
import { microseconds, readStamps } from "../wire/clock.ts";
import { createClient, type LoadKind } from "./client.ts";
import type { LoadRequest } from "./request.ts";

export interface StreamFacts {
  readonly kind: LoadKind;
  readonly port: number;
  readonly streams: number;
  /** All streams together. */
  readonly requests: number;
  readonly tokens: number;
  readonly request: LoadRequest;
  /** Milliseconds, at most, that a client waits before each request, so that streams do not go in step. */
  readonly jitterMs: number;
}

export interface StreamResult {
  readonly seconds: number;
  readonly tokens: number;
  /** Milliseconds from the stand-in's write to the client's read, of each token. */
  readonly relay: readonly number[];
  /** Milliseconds from the request to the first token, of each request. */
  readonly firstToken: readonly number[];
  /** Answers that failed, broke, or did not bring every token. */
  readonly errors: number;
  readonly firstError: string | undefined;
}

export async function readStreams(facts: StreamFacts): Promise<StreamResult> {
  const relay: number[] = [];
  const firstToken: number[] = [];
  let left = facts.requests;
  let errors = 0;
  let firstError: string | undefined;
  const work = async () => {
    const client = createClient(facts.kind, facts.port);
    while (left-- > 0) {
      if (facts.jitterMs > 0) await setTimeout(Math.random() * facts.jitterMs);
      let tokens = 0;
      let rest: Buffer | undefined;
      const started = microseconds();
      const onData = (bytes: Buffer) => {
        const now = microseconds();
        if (tokens === 0) firstToken.push((now - started) / 1_000);
        rest = readStamps(rest === undefined ? bytes : Buffer.concat([rest, bytes]), (written) => {
          tokens++;
          relay.push((now - written) / 1_000);
        });
      };
      const problem = await client.send(facts.request, onData).then(
        ({ status }) =>
          status !== 200 ? `status ${status}` : tokens !== facts.tokens ? `${tokens} tokens` : undefined,
        (error: Error) => error.message,
      );
      if (problem !== undefined) {
        errors++;
        firstError ??= problem;
      }
    }
    client.destroy();
  };
  const began = microseconds();
  await Promise.all(Array.from({ length: facts.streams }, work));
  return { seconds: (microseconds() - began) / 1e6, tokens: relay.length, relay, firstToken, errors, firstError };
}
