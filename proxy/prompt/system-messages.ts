/** Chat templates of local models take one system text, at the front; Codex sends several developer messages. */
import type { Rewriting } from "../splice/rewriting.ts";

/** False when there was nothing to do. Throws `SyntaxError` when a message that has to be read is not JSON inside. */
export function joinSystemMessages(rewriting: Rewriting): boolean {
  const { body } = rewriting;
  const joined = new Map<number, string>();
  for (const [index, item] of (body.find("input")?.elements ?? []).entries()) {
    const text = item.role === "system" || item.role === "developer" ? systemText(body.parse(item)) : undefined;
    if (text !== undefined) joined.set(index, text);
  }
  // A request of nothing but system messages stays: an empty list of items would be refused instead.
  if (joined.size === 0 || joined.size === rewriting.remaining("input")) return false;
  const own = body.text("instructions");
  rewriting.set("instructions", JSON.stringify([...(own ? [own] : []), ...joined.values()].join("\n\n")));
  for (const index of joined.keys()) rewriting.replace("input", index, "");
  return true;
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

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
