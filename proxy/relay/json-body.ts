/** A request's body, scanned while it arrives. */
import type { IncomingMessage } from "node:http";
import { JsonBody } from "../splice/body.ts";
import { type BodyLimits, readBody } from "./body.ts";

export interface ArrivedBody {
  readonly json: JsonBody;
  /** False for a body that is not one JSON object; only its chunks count then. */
  readonly whole: boolean;
}

/** `mayPass`: a body that is not one JSON object is nobody's fault here. Else throws `ScanFault`; and as `readBody` does. */
export async function readJsonBody(
  request: IncomingMessage,
  limits: BodyLimits,
  mayPass: boolean,
): Promise<ArrivedBody> {
  const json = new JsonBody();
  let fault: unknown;
  const attempt = (scan: () => void) => {
    try {
      scan();
    } catch (error) {
      if (!mayPass) throw error;
      fault = error;
    }
  };
  await readBody(request, limits, (chunk) => {
    if (fault === undefined) attempt(() => json.push(chunk));
    else json.chunks.push(chunk);
  });
  if (fault === undefined) attempt(() => json.end());
  return { json, whole: fault === undefined };
}
