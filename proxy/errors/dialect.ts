/** Faults as each client's own protocol prints them: as a whole answer, and as the last event of a stream that broke. */
import type { Fault } from "./fault.ts";

export type Dialect = "responses" | "chat" | "messages";

/** JSON body of an answer that carries nothing but the fault. */
export function faultBody(fault: Fault, dialect: Dialect): string {
  if (dialect === "messages") {
    return JSON.stringify({ type: "error", error: { type: anthropicType(fault.status), message: fault.message } });
  }
  return JSON.stringify({ error: openAiError(fault) });
}

/**
 * Server-sent event that ends a broken stream. Codex ignores `error` events, so Responses clients get `response.failed`; `responseId` is the one
 * that they were told.
 */
export function failureEvent(fault: Fault, dialect: Dialect, responseId: string): string {
  switch (dialect) {
    case "responses": {
      const response = {
        id: responseId,
        object: "response",
        status: "failed",
        output: [],
        error: { code: failureCode(fault), message: fault.message },
      };
      return `event: response.failed\ndata: ${JSON.stringify({ type: "response.failed", response })}\n\n`;
    }
    case "messages":
      return `event: error\ndata: ${faultBody(fault, dialect)}\n\n`;
    case "chat":
      return `data: ${faultBody(fault, dialect)}\n\n`;
  }
}

/** Codex asks again after every code but a few: `invalid_prompt` makes it show the message and stop. */
function failureCode({ status, code }: Fault): string {
  const ownMeaning = status >= 500 || code === "context_length_exceeded" || status === 429;
  return ownMeaning ? code : "invalid_prompt";
}

function openAiError(fault: Fault) {
  return { message: fault.message, type: openAiType(fault.status), param: null, code: fault.code };
}

function openAiType(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 429) return "rate_limit_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

const anthropicTypes: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
};

function anthropicType(status: number): string {
  return anthropicTypes[status] ?? (status < 500 ? "invalid_request_error" : "api_error");
}
