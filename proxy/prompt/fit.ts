/** What LM Studio refuses of a chat or messages request, as a list of passes: each answers one refusal and leaves a request that does not have it alone. */
import type { Rewriting } from "../splice/rewriting.ts";
import { joinChatSystemMessages, joinMessagesSystem } from "./system-messages.ts";
import { dropChatTools, dropMessagesTools, fitChatChoice } from "./tools.ts";

export interface FittedRequest {
  /** Names of what was done. */
  readonly applied: readonly string[];
  /** Tools that were left out, as the client named them. */
  readonly droppedTools: readonly string[];
}

/** Throws `SyntaxError` when a part that has to be read is not JSON inside. */
export function fitRequest(rewriting: Rewriting, endpoint: "chat" | "messages"): FittedRequest {
  const chat = endpoint === "chat";
  const joined = chat ? joinChatSystemMessages(rewriting) : joinMessagesSystem(rewriting);
  const droppedTools = chat ? dropChatTools(rewriting) : dropMessagesTools(rewriting);
  const chosen = chat && fitChatChoice(rewriting);
  return {
    applied: [
      ...(joined ? ["join-system-messages"] : []),
      ...(droppedTools.length > 0 ? ["drop-foreign-tools"] : []),
      ...(chosen ? ["fit-tool-choice"] : []),
    ],
    droppedTools,
  };
}
