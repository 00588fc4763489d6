/** Proves each declared model through the proxy, as a client would use it. */
import type { Change, ProveDocument } from "../../infra/spec/host-documents.ts";
import { type ModelProof, summaryOf } from "../../infra/spec/proof/finding.ts";
import type { Host } from "../host.ts";
import type { Where } from "../http.ts";
import { tryLock } from "../lock.ts";
import { adminSockets } from "../resources/admin-sockets.ts";
import { storeToken } from "../tokens.ts";
import { keepProof, subjectsNow } from "./kept-proofs.ts";
import { proofFailure, proofLock, proveOnce } from "./prove-once.ts";

/** Throws `proof_failed` with the transcript of the first model that is not as declared. */
export async function prove(
  host: Host,
  document: ProveDocument,
): Promise<{ changes: Change[]; observed: { proofs: ModelProof[] } }> {
  const [socket] = await adminSockets(host);
  const where: Where = socket === undefined ? { host: "127.0.0.1", port: document.port } : { socketPath: socket };
  const proofs: ModelProof[] = [];
  // Without it the supervisor proves meanwhile, which does no harm.
  const release = await tryLock(host, proofLock);
  try {
    const subjects = await subjectsNow(host);
    for (const model of document.models) {
      const proof = await proveOnce(where, model, { depth: "full", say: (line) => host.say(line) });
      const subject = subjects.find(({ id }) => id === model.id);
      if (subject !== undefined) await keepProof(host, subject, "full", proof);
      const failure = proofFailure(proof);
      if (failure !== null) throw failure;
      host.say(`proved ${summaryOf(proof)}`);
      proofs.push(proof);
    }
  } finally {
    await release?.();
  }
  await storeToken(host, "proof", document.token);
  return { changes: [], observed: { proofs } };
}
