/** What can be wrong with a request that no single part of it judges. */

import { modelOfInstance } from "../../infra/spec/model-names.ts";
import { ScanFault } from "../splice/outline.ts";
import { Fault } from "./fault.ts";

/** For whatever was thrown on the way: a body that could not be read is the client's fault, everything else is ours. */
export function internalFault(error: unknown, requestId: string): Fault {
  if (error instanceof ScanFault || error instanceof SyntaxError) {
    return new Fault(
      400,
      "invalid_json",
      `The request body is not valid JSON: ${error.message}. Send one JSON object.`,
    );
  }
  return new Fault(
    500,
    "internal_error",
    `The proxy failed on this request; its log has the reason under ${requestId}.`,
    { cause: error },
  );
}

export function websocketFault(path: string): Fault {
  return new Fault(
    426,
    "websocket_not_supported",
    `${path} is served over plain HTTP only; WebSocket is closed. Send the request as HTTP/1.1.`,
  );
}

/** LM Studio would let whatever is loaded answer (lmstudio-bug-tracker #619): past the slots, the keys and the thinking of that model. */
export function unnamedFault(): Fault {
  return new Fault(
    400,
    "invalid_request",
    'The request names no model. Set "model" to one of those that GET /v1/models lists.',
  );
}

export function encodingFault(encoding: string): Fault {
  return new Fault(
    415,
    "unsupported_encoding",
    `The body is encoded as "${encoding}", which the proxy does not read. Send it without content-encoding.`,
  );
}

/** For a client that names one of lmstack's instances as if it were a model. */
export function besideFault(name: string | undefined): Fault | undefined {
  if (name === undefined || modelOfInstance(name) === name) return undefined;
  const told = JSON.stringify(name.slice(0, 200));
  return new Fault(404, "model_not_found", `There is no model ${told}. GET /v1/models lists what there is.`);
}
