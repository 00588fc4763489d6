/** Tools that LM Studio knows nothing of are left out, by name; a choice of tool that it does not take becomes one that says the same. */

import type { Rewriting } from "../splice/rewriting.ts";
import { isRecord } from "../unknown-json.ts";

const openBrace = 0x7b;

/**
 * `/v1/chat/completions` has functions only. Gives the tools that were left out, as the client named them. Throws `SyntaxError` when a tool that has to
 * be read is not JSON inside.
 */
export function dropChatTools(rewriting: Rewriting): string[] {
  return dropTools(rewriting, (type) => type === undefined || type === "function");
}

/**
 * `/v1/messages`: a tool with a type of its own is one that Anthropic runs (`web_search_20250305`), or one whose schema only its models know. Else as
 * above.
 */
export function dropMessagesTools(rewriting: Rewriting): string[] {
  const stays = (type: string | undefined) => type === undefined || type === "custom";
  const dropped = dropTools(rewriting, stays);
  const choice = dropped.length === 0 ? undefined : objectAt(rewriting, "tool_choice");
  const { body } = rewriting;
  const isForced = (tool: unknown) => isRecord(tool) && tool.name === choice?.name;
  const left = body.find("tools")?.elements?.filter(({ type }) => stays(type)) ?? [];
  if (choice?.type === "tool" && !left.some((element) => isForced(body.parse(element))))
    rewriting.set("tool_choice", undefined);
  return dropped;
}

/**
 * A `tool_choice` that is an object: LM Studio's chat takes only `none`, `auto` and `required` (BT#670, lmstudio-ai/docs#177), so a tool is forced by
 * telling the model of no other one. False when there is nothing to do, or when it names a tool that the request does not have, which LM Studio may tell.
 */
export function fitChatChoice(rewriting: Rewriting): boolean {
  const choice = objectAt(rewriting, "tool_choice");
  if (choice === undefined || rewriting.remaining("tools") === 0) return false;
  const { body } = rewriting;
  const names = (body.find("tools")?.elements ?? []).map((element) => functionName(body.parse(element)));
  const { allowed, mode } = wantedOf(choice);
  const isWanted = (name: string | undefined) => name !== undefined && allowed?.has(name) === true;
  if (allowed === undefined) rewriting.set("tool_choice", undefined);
  else if (names.some(isWanted)) {
    rewriting.set("tool_choice", JSON.stringify(mode));
    for (const [index, name] of names.entries()) if (!isWanted(name)) rewriting.replace("tools", index, "");
  } else if (choice.type === "allowed_tools") rewriting.set("tool_choice", '"none"');
  else return false;
  return true;
}

interface Wanted {
  /** Names of functions; undefined where the choice is of another kind of tool. */
  readonly allowed?: ReadonlySet<string | undefined>;
  readonly mode?: "required" | "auto";
}

function wantedOf(choice: Readonly<Record<string, unknown>>): Wanted {
  const { type, allowed_tools: list } = choice;
  if (type === "function") return { allowed: new Set([functionName(choice)]), mode: "required" };
  if (type !== "allowed_tools" || !isRecord(list)) return {};
  const tools: unknown[] = Array.isArray(list.tools) ? list.tools : [];
  return { allowed: new Set(tools.map(functionName)), mode: list.mode === "required" ? "required" : "auto" };
}

function dropTools(rewriting: Rewriting, stays: (type: string | undefined) => boolean): string[] {
  const { body } = rewriting;
  const dropped: string[] = [];
  for (const [index, element] of (body.find("tools")?.elements ?? []).entries()) {
    if (stays(element.type)) continue;
    dropped.push(label(body.parse(element)));
    rewriting.replace("tools", index, "");
  }
  if (dropped.length > 0 && rewriting.remaining("tools") === 0) {
    rewriting.set("tools", undefined);
    rewriting.set("tool_choice", undefined);
  }
  return dropped;
}

function objectAt({ body }: Rewriting, key: string): Readonly<Record<string, unknown>> | undefined {
  const value = body.find(key);
  const parsed = value?.first === openBrace ? body.parse(value) : undefined;
  return isRecord(parsed) ? parsed : undefined;
}

function functionName(tool: unknown): string | undefined {
  if (!isRecord(tool) || (tool.type ?? "function") !== "function" || !isRecord(tool.function)) return undefined;
  return typeof tool.function.name === "string" ? tool.function.name : undefined;
}

/** Chat has a custom tool's name one level down. */
function label(tool: unknown): string {
  const { type, name, custom } = tool as Readonly<Record<string, unknown>>;
  const own = typeof name === "string" ? name : isRecord(custom) ? custom.name : undefined;
  return typeof own === "string" ? `${String(type)}:${own}` : String(type);
}
