/** What Codex's own header fields say of a request: whether it can wait, and which conversation it belongs to. Others send none of them. */
import type { IncomingHttpHeaders } from "node:http";

/**
 * Codex asks for a thread's title beside the thread's first turn; on a small server that takes the slot the turn needs. A quote that
 * belongs to some text inside the JSON has a backslash before it, so text cannot look like the member.
 */
const titleMark = /"thread_source"\s*:\s*"thread_title"/;

/** The first that is there names the conversation. */
const threadFields = ["thread-id", "session-id", "x-client-request-id"] as const;

/** Ids have 36 characters; what is much longer is none. */
const longestId = 128;

export function lowPriority(headers: IncomingHttpHeaders): boolean {
  const metadata = headers["x-codex-turn-metadata"];
  return typeof metadata === "string" && titleMark.test(metadata);
}

export function threadOf(headers: IncomingHttpHeaders): string | undefined {
  for (const field of threadFields) {
    const id = headers[field];
    if (typeof id === "string" && id !== "" && id.length <= longestId) return id;
  }
  return undefined;
}
