/**
 * Members that a whole answer has by the schema of its dialect and that LM Studio leaves out: clients made from the schema refuse an answer without them.
 * Each says that there is nothing to say.
 */
import { isRecord, type Json, parsed } from "../unknown-json.ts";

const message = Buffer.from('"message":{');
const refusal = Buffer.from('"refusal":null,');
const backslash = 0x5c;

/** `/v1/chat/completions`. The very same buffer when nothing is missing. */
export function completeChat(body: Buffer): Buffer {
  if (body.includes('"refusal":')) return body;
  const pieces: Buffer[] = [];
  let from = 0;
  // Inside of a string no quote stands without a backslash before it, so that only a key can look like this.
  for (let at = body.indexOf(message); at >= 0; at = body.indexOf(message, at + 1)) {
    const open = at + message.length;
    if (body[at - 1] === backslash || body[open] !== 0x22) continue;
    pieces.push(body.subarray(from, open), refusal);
    from = open;
  }
  return pieces.length === 0 ? body : Buffer.concat([...pieces, body.subarray(from)]);
}

/** `/v1/messages`. The very same buffer when nothing is missing, or when it is no message. */
export function completeMessage(body: Buffer): Buffer {
  const answer = parsed(body.toString());
  if (!isRecord(answer) || answer.type !== "message" || !Array.isArray(answer.content)) return body;
  let count = 0;
  const completed = (value: unknown, members: Json = {}) => {
    const missing = isRecord(value) ? Object.entries(members).filter(([key]) => !Object.hasOwn(value, key)) : [];
    count += missing.length;
    return missing.length === 0 ? value : { ...(value as Json), ...Object.fromEntries(missing) };
  };
  const content = answer.content.map((block) =>
    completed(block, blockMembers[(block as { type?: string } | null)?.type ?? ""]),
  );
  const usage = completed(answer.usage, usageMembers);
  const whole = completed({ ...answer, content, usage }, messageMembers);
  return count === 0 ? body : Buffer.from(JSON.stringify(whole));
}

const messageMembers: Json = { stop_details: null, container: null };
const usageMembers: Json = {
  cache_creation: null,
  // Clients add these up.
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  inference_geo: null,
  output_tokens_details: null,
  server_tool_use: null,
  service_tier: null,
};
const blockMembers: Readonly<Record<string, Json>> = {
  text: { citations: null },
  tool_use: { caller: { type: "direct" } },
};
