/**
 * What a hub says of a file before it is fetched: Hugging Face answers a resolve address with `x-linked-etag` (the sha256 of a large file) and
 * `x-linked-size`, in the hub's own answer and not in that of the storage it redirects to.
 */
import { HostFailure } from "../failure.ts";
import { exchange, reasonOf, shown } from "./exchange.ts";

export interface HubFile {
  readonly sha256: string | null;
  readonly size: number | null;
}

/** @throws HostFailure `fetch_failed` */
export async function askHub(url: string, what: string, bearer: string | undefined): Promise<HubFile> {
  const arrival = await exchange(url, { method: "HEAD", sameHost: true, bearer }).catch((error: unknown) => {
    if (error instanceof HostFailure) throw error;
    const words = `${what}: ${shown(url)} does not answer: ${reasonOf(error)}`;
    throw new HostFailure("fetch_failed", words, "check that the host can reach the hub", error);
  });
  const { statusCode = 0, headers } = arrival.response;
  arrival.response.destroy();
  if (statusCode >= 400) {
    const locked = statusCode === 401 || statusCode === 403;
    const next = locked
      ? "accept the model's terms on its page, and name a secret that holds a token (source.secret)"
      : "correct source.hf in the spec";
    throw new HostFailure("fetch_failed", `${what}: ${shown(url)} answered ${statusCode}`, next);
  }
  const sha256 = /^"?([0-9a-f]{64})"?$/.exec(String(headers["x-linked-etag"] ?? ""))?.[1] ?? null;
  const size = Number(headers["x-linked-size"] ?? Number.NaN);
  return { sha256, size: Number.isSafeInteger(size) ? size : null };
}
