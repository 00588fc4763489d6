/** Proves each declared model through the proxy, as a client would use it. */
import type { Change, ProveDocument } from "../../infra/spec/host-documents.ts";
import { type ModelProof, summaryOf } from "../../infra/spec/proof/finding.ts";
import type { Host } from "../host.ts";
import type { Where } from "../http.ts";
import { adminSockets } from "../resources/proxy-files.ts";
import { storeToken } from "../tokens.ts";
import { proofFailure, proveOnce } from "./prove-once.ts";

/** Throws `proof_failed` with the transcript of the first model that is not as declared. */
export async function prove(
  host: Host,
  document: ProveDocument,
): Promise<{ changes: Change[]; observed: { proofs: ModelProof[] } }> {
  const [socket] = await adminSockets(host);
  const where: Where = socket === undefined ? { host: "127.0.0.1", port: document.port } : { socketPath: socket };
  const proofs: ModelProof[] = [];
  for (const model of document.models) {
    const proof = await proveOnce(where, model, { depth: "full", say: (line) => host.say(line) });
    const failure = proofFailure(proof);
    if (failure !== null) throw failure;
    host.say(`proved ${summaryOf(proof)}`);
    proofs.push(proof);
  }
  await storeToken(host, "proof", document.token);
  return { changes: [], observed: { proofs } };
}
