/** The judgement of one model, for whoever has to know now whether it serves: `prove`, the supervisor, an upgrade, a swap. */
import type { ProvedModel } from "../../infra/spec/proof/dialect.ts";
import { failureOf, type ModelProof } from "../../infra/spec/proof/finding.ts";
import { type Depth, proveModel } from "../../infra/spec/proof/prove-model.ts";
import { HostFailure } from "../failure.ts";
import type { Where } from "../http.ts";
import { askAt } from "./ask.ts";

export interface ProofWish {
  readonly depth: Depth;
  /** `where` is LM Studio itself, not the proxy: the questions carry the switch that the proxy would set. Default false. */
  readonly direct?: boolean;
  /** By the proxy's admin socket alone: this instance of LM Studio's, whoever answers for the model by now. */
  readonly instance?: string;
  /** For the whole of it. Default: 30 s for a pulse, five minutes for the endpoints, ten for all. */
  readonly withinMs?: number;
  readonly say?: (line: string) => void;
  /** Ends it early: then it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Held while models are proved: two proofs at once would only slow each other down. */
export const proofLock = "proof";

/** For the long prompt alone: longer ones are not tried. */
const contextMs = 20_000;
const patience: Readonly<Record<Depth, number>> = { pulse: 30_000, thinking: 300_000, full: 600_000 };

/**
 * Asks through the proxy's admin socket or port (or LM Studio's own port, with `direct`) and judges. What the model or the endpoint does is in the
 * result, never an error: `ok` is false only for what is wrong, not for what a weak model does badly or what cannot be shown.
 */
export async function proveOnce(where: Where, model: ProvedModel, wish: ProofWish): Promise<ModelProof> {
  const { depth, direct = false, instance, withinMs = patience[depth], say = () => {}, signal } = wish;
  const now = () => performance.now();
  const ask = askAt(where, instance === undefined ? {} : { "x-lmstack-instance": instance }, signal);
  // The list tells of the instances that serve, not of one that does not yet.
  const listed = instance === undefined;
  const proof = await proveModel(model, { ask, depth, direct, listed, withinMs, contextMs, say, now });
  signal?.throwIfAborted();
  return proof;
}

/** The failure with its transcript, ready to be thrown or kept as a reason; null when the proof holds. */
export function proofFailure(proof: ModelProof): HostFailure | null {
  const failure = failureOf(proof);
  return failure === null ? null : new HostFailure("proof_failed", failure.message, failure.hint);
}
