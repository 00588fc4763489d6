/** The request that the client would send if the answer had ended with its searches: what LM Studio gets in the next round. */
import { JsonBody } from "../splice/body.ts";
import { Rewriting } from "../splice/rewriting.ts";

const openBracket = 0x5b;

/**
 * `items` are those that the answer has put out so far, in the client's form: translated like any history, they give the same bytes now as in the
 * client's next request.
 */
export function continuedRequest(body: JsonBody, items: readonly unknown[]): JsonBody {
  const rewriting = new Rewriting(body);
  const added = items.map((item) => JSON.stringify(item)).join(",");
  const input = body.find("input");
  if (input?.first === openBracket) {
    rewriting.append("input", added);
  } else {
    const content = input === undefined ? '""' : body.source(input);
    rewriting.set("input", `[{"type":"message","role":"user","content":${content}},${added}]`);
  }
  const choice = unforced(body.value("tool_choice"));
  if (choice !== undefined) rewriting.set("tool_choice", JSON.stringify(choice));
  const next = new JsonBody();
  for (const chunk of rewriting.chunks()) next.push(chunk);
  next.end();
  return next;
}

/** A call that was forced has been made with the search: forced again, a model would search for ever. Undefined where nothing was forced. */
function unforced(choice: unknown): unknown {
  if (choice === "required") return "auto";
  if (typeof choice !== "object" || choice === null) return undefined;
  return (choice as { type?: unknown }).type === "allowed_tools" ? { ...choice, mode: "auto" } : "auto";
}
