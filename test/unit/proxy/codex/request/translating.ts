/** Requests as Codex makes them, in small, and what the translation makes of one. */
import { RequestMemo, type RequestOptions, translateRequest } from "../../../../../proxy/codex/request/translate.ts";
import { JsonBody } from "../../../../../proxy/splice/body.ts";
import { Rewriting } from "../../../../../proxy/splice/rewriting.ts";

export const translate = (request: unknown, options: RequestOptions = {}, memo = new RequestMemo()) => {
  const text = typeof request === "string" ? request : JSON.stringify(request);
  const rewriting = new Rewriting(JsonBody.of(Buffer.from(text)));
  const { applied, droppedTools, calls } = translateRequest(rewriting, options, memo);
  const result = Buffer.concat(rewriting.chunks()).toString();
  return { text: result, body: JSON.parse(result), applied, droppedTools, calls };
};
export const message = (role: string, text: string) => ({
  type: "message",
  role,
  content: [{ type: "input_text", text }],
});
export const developer = (text: string) => message("developer", text);
export const user = message("user", "hello");
export const func = (name: string, extra: object = {}) => ({
  type: "function",
  name,
  description: `Does ${name}`,
  strict: false,
  parameters: { type: "object", properties: { cmd: { type: "string" } }, required: ["cmd"] },
  ...extra,
});
export const namespace = (name: string, ...tools: unknown[]) => ({
  type: "namespace",
  name,
  description: "A group.",
  tools,
});
export const patch = {
  type: "custom",
  name: "apply_patch",
  description: "Edits files.",
  format: { type: "grammar", syntax: "lark", definition: "start: begin hunk+ end" },
};
export const search = { type: "web_search", external_web_access: true };
export const names = (body: { tools?: { name: string }[] }) => (body.tools ?? []).map(({ name }) => name);
export const asked = (tools: unknown[], extra: object = {}) => ({ input: [user], tools, ...extra });
