/**
 * What bridges a long silence: events that each client's own parser takes for news and that change nothing. Comments do not do: Codex's idle
 * timer does not see them (openai/codex #31539).
 */
import type { AnswerForm } from "../answer/leak.ts";

export interface HeartbeatFacts {
  readonly requestId: string;
  readonly model: string;
  /** Of the answer that LM Studio has begun; before that, our own. */
  readonly responseId: string;
  /** The client was told nothing yet. */
  readonly first: boolean;
  /** Seconds since the epoch. */
  readonly now: number;
}

/** One event, or two: a Responses client wants `response.created` before anything else (the openai package refuses other beginnings). */
export function heartbeat(form: AnswerForm, facts: HeartbeatFacts): string {
  const { requestId, model, now } = facts;
  switch (form) {
    case "responses": {
      const response = {
        id: facts.responseId,
        object: "response",
        created_at: now,
        status: "in_progress",
        model,
        output: [],
      };
      const event = (type: string) => `event: ${type}\ndata: ${JSON.stringify({ type, response })}\n\n`;
      return (facts.first ? event("response.created") : "") + event("response.in_progress");
    }
    case "messages":
    case "native-chat":
      return 'event: ping\ndata: {"type":"ping"}\n\n';
    case "chat": {
      const choices = [{ index: 0, delta: {}, finish_reason: null }];
      return chunk({ id: `chatcmpl-${requestId}`, object: "chat.completion.chunk", created: now, model, choices });
    }
    case "completions": {
      const choices = [{ index: 0, text: "", finish_reason: null }];
      return chunk({ id: `cmpl-${requestId}`, object: "text_completion", created: now, model, choices });
    }
  }
}

function chunk(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

const responseId = /"id"\s*:\s*"(resp_[\w-]+)"/;

/** Read from an answer's first bytes, so that later heartbeats speak of the same response. */
export function responseIdIn(chunk: Buffer): string | undefined {
  return responseId.exec(chunk.toString("latin1", 0, 512))?.[1];
}
