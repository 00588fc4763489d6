/**
 * Chat templates of local models take one system text, at the front (BT#2298); clients send several, `developer` messages among them, in the middle
 * too. Joined in order. Each dialect has another place for it.
 */

import type { Element } from "../splice/outline.ts";
import type { Rewriting } from "../splice/rewriting.ts";
import { isRecord } from "../unknown-json.ts";

/** `/v1/responses`: into `instructions`. False when there was nothing to do. Throws `SyntaxError` when a message that has to be read is not JSON inside. */
export function joinSystemMessages(rewriting: Rewriting): boolean {
  const { body } = rewriting;
  const texts = systemTexts(rewriting, "input");
  // A request of nothing but system messages stays: an empty list of items would be refused instead.
  if (texts.size === 0 || texts.size === rewriting.remaining("input")) return false;
  rewriting.set("instructions", joined([body.text("instructions") ?? "", ...texts.values()]));
  for (const index of texts.keys()) rewriting.replace("input", index, "");
  return true;
}

/** `/v1/chat/completions`: into the first message, whose role is `system`, the one that every template knows. Else as above. */
export function joinChatSystemMessages(rewriting: Rewriting): boolean {
  const [first] = rewriting.body.find("messages")?.elements ?? [];
  const texts = systemTexts(rewriting, "messages");
  if (first === undefined || texts.size === 0) return false;
  if (texts.size === 1 && texts.has(0) && first.role === "system") return false;
  const message = `{"role":"system","content":${joined([...texts.values()])}}`;
  for (const index of texts.keys()) rewriting.replace("messages", index, index === 0 ? message : "");
  if (!texts.has(0)) rewriting.edit({ start: first.start, end: first.start, text: `${message},` });
  return true;
}

/** `/v1/messages`: into `system`, since LM Studio refuses another role than `user` and `assistant` (BT#2204). Else as above. */
export function joinMessagesSystem(rewriting: Rewriting): boolean {
  const { body } = rewriting;
  const texts = systemTexts(rewriting, "messages");
  if (texts.size === 0 || texts.size === rewriting.remaining("messages")) return false;
  const system = body.find("system");
  if (system?.first === openBracket) {
    // Behind the client's own blocks, which keep their bytes.
    const empty = body.source({ start: system.start + 1, end: system.end - 1 }).trim() === "";
    const block = `{"type":"text","text":${joined([...texts.values()])}}`;
    rewriting.edit({ start: system.end - 1, end: system.end - 1, text: `${empty ? "" : ","}${block}` });
  } else rewriting.set("system", joined([body.text("system") ?? "", ...texts.values()]));
  for (const index of texts.keys()) rewriting.replace("messages", index, "");
  return true;
}

const openBracket = 0x5b;

function joined(texts: readonly string[]): string {
  return JSON.stringify(texts.filter((text) => text !== "").join("\n\n"));
}

/** By index, of those messages of a list that hold nothing but text. */
function systemTexts({ body }: Rewriting, list: string): Map<number, string> {
  const texts = new Map<number, string>();
  for (const [index, element] of (body.find(list)?.elements ?? []).entries()) {
    const text = isSystem(element) ? systemText(body.parse(element)) : undefined;
    if (text !== undefined) texts.set(index, text);
  }
  return texts;
}

function isSystem({ role }: Element): boolean {
  return role === "system" || role === "developer";
}

/** The text of a system or developer message, undefined for any other item and for one that holds more than text. */
function systemText(item: unknown): string | undefined {
  if (!isRecord(item)) return undefined;
  if (item.type !== undefined && item.type !== "message") return undefined;
  if (typeof item.content === "string") return item.content;
  if (!Array.isArray(item.content)) return undefined;
  const texts = item.content.map((part) => (isRecord(part) && typeof part.text === "string" ? part.text : undefined));
  return texts.includes(undefined) ? undefined : texts.join("\n\n");
}
