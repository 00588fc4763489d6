import type { IncomingMessage } from "node:http";
import { Fault } from "../errors/fault.ts";

/** The client went away while it was still sending; there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

/** Reads a whole body of at most `limit` bytes. Throws a 413 fault before reading on, or `ClientGone`. */
export async function collectBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > limit) throw tooLarge(limit);
  return await new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > limit) finish(() => reject(tooLarge(limit)));
    };
    const onEnd = () =>
      finish(() => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size)));
    const onClose = () => finish(() => reject(new ClientGone("the connection closed before the body was complete")));
    const finish = (settle: () => void) => {
      request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
      request.pause();
      settle();
    };
    request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
}

/** Whether a request brings a body at all, by its framing. */
export function hasBody(request: IncomingMessage): boolean {
  return request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) > 0;
}

/** A request without a body is complete only after its handler ran, so framing decides first. */
export function hasUnreadBody(request: IncomingMessage): boolean {
  return hasBody(request) && !request.complete;
}

function tooLarge(limit: number): Fault {
  return new Fault(
    413,
    "request_too_large",
    `The request body is larger than ${limit} bytes. Send less, or raise limits.bodyBytes in the proxy's configuration.`,
  );
}
