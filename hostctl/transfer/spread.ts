/**
 * A host's part in bringing a file to many: it shares what it has, and fetches from others what it lacks, which it passes on piece by piece as it comes.
 * A line of JSON is answered by one. The first opens the share; `{"list": SHA256}` asks for the pieces of a file that is here; `{"sha256", "peers",
 * "pieces"}` and `{"sha256", "urls"}` have one fetched into the store. All of it ends with stdin, so nothing is shared for longer than somebody wants it.
 */
import { once } from "node:events";
import type { Server } from "node:http";
import { createInterface } from "node:readline";
import type { Result } from "../../infra/spec/host-documents.ts";
import { parseDocument, schemas } from "../documents.ts";
import { asFailure, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { awaitDownload, fetchHere } from "./download-job.ts";
import { Arriving, listPieces } from "./pieces.ts";
import { openShare, portOf, verifiedFile } from "./share.ts";
import { dropForgotten, isStored } from "./store.ts";

export async function spread(host: Host, input: NodeJS.ReadableStream, print: (result: Result) => void): Promise<void> {
  const lines = createInterface({ input });
  const ended = once(lines, "close");
  await Promise.race([ended, answerAll(host, lines, print)]);
}

async function answerAll(host: Host, lines: AsyncIterable<string>, print: (result: Result) => void): Promise<void> {
  const arriving = new Map<string, Arriving>();
  let server: Server | null = null;
  for await (const line of lines) {
    try {
      if (server !== null) print({ ok: true, changed: [], observed: await perform(host, line, arriving) });
      else {
        await dropForgotten(host, Date.now());
        server = await openShare(host, parseDocument(schemas.share, line, "spread"), arriving);
        print({ ok: true, changed: [], observed: { port: portOf(server) } });
      }
    } catch (error) {
      const { code, message, hint } = asFailure(error);
      print({ ok: false, error: { code, message, hint } });
    }
  }
}

async function perform(host: Host, line: string, arriving: Map<string, Arriving>): Promise<object> {
  const order = parseDocument(schemas.spread, line, "spread");
  if ("list" in order) {
    const file = await verifiedFile(host, order.list);
    if (file !== null) return await listPieces(file);
    throw new HostFailure("file_missing", `sha256 ${order.list} is not here`, "ask a host that has it");
  }
  const { sha256 } = order;
  if (await isStored(host, sha256)) return { leftOut: [] };
  if ("urls" in order) {
    const { credential, ...wanted } = order;
    await awaitDownload(host, wanted, credential);
    return { leftOut: [] };
  }
  const { credential, pieces, ...wanted } = order;
  try {
    const leftOut = await fetchHere(host, { ...wanted, pieces, bearer: credential }, (part) => {
      const file = new Arriving(part, pieces);
      arriving.set(sha256, file);
      return (index) => file.add(index);
    });
    return { leftOut };
  } finally {
    arriving.delete(sha256);
  }
}
