import type { IncomingMessage } from "node:http";
import { Fault } from "../errors/fault.ts";

/** The client went away while it was still sending; there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

export interface BodyLimits {
  readonly bodyBytes: number;
  /** Seconds of silence in the middle of a body. */
  readonly bodySeconds: number;
}

/**
 * Hands over each chunk of a body as it comes; resolves with its end. What `take` throws ends it. Throws a 413 or 408 fault, or
 * `ClientGone`.
 */
export function readBody(request: IncomingMessage, limits: BodyLimits, take: (chunk: Buffer) => void): Promise<void> {
  if (Number(request.headers["content-length"] ?? 0) > limits.bodyBytes) return Promise.reject(tooLarge(limits));
  return new Promise((resolve, reject) => {
    let size = 0;
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size > limits.bodyBytes) {
        fail(tooLarge(limits));
        return;
      }
      timer.refresh();
      try {
        take(chunk);
      } catch (error) {
        fail(error);
      }
    };
    const onEnd = () => {
      finish();
      resolve();
    };
    const fail = (error: unknown) => {
      finish();
      request.pause();
      reject(error);
    };
    const onClose = () => fail(new ClientGone("the connection closed before the body was complete"));
    const finish = () => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
    };
    const timer = setTimeout(() => fail(tooSlow(limits)), limits.bodySeconds * 1_000);
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

function tooLarge({ bodyBytes }: BodyLimits): Fault {
  return new Fault(
    413,
    "request_too_large",
    `The request body is larger than ${bodyBytes} bytes. Send less, or raise limits.bodyBytes in the proxy's configuration.`,
  );
}

function tooSlow({ bodySeconds }: BodyLimits): Fault {
  return new Fault(
    408,
    "request_too_slow",
    `Nothing more of the request body came for ${bodySeconds} s. Send the body without a pause, or raise limits.bodySeconds in the proxy's configuration.`,
  );
}
