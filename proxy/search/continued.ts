/** The request that the client would send if the answer had ended with its searches: what LM Studio gets in the next round. */
import { JsonBody } from "../splice/body.ts";
import { Rewriting } from "../splice/rewriting.ts";

const openBracket = 0x5b;

/**
 * `items` are those that the answer has put out so far, in the client's form: translated like any history, they give the same bytes now as in the
 * client's next request. A forced choice of tools was met by the search: forced again, a model would search for ever.
 */
export function continuedRequest(body: JsonBody, items: readonly unknown[]): JsonBody {
  const rewriting = new Rewriting(body);
  const added = items.map((item) => JSON.stringify(item)).join(",");
  const input = body.find("input");
  if (input?.first === openBracket) {
    const empty = input.elements?.length === 0;
    rewriting.edit({ start: input.end - 1, end: input.end - 1, text: empty ? added : `,${added}` });
  } else {
    const content = input === undefined ? '""' : body.source(input);
    rewriting.set("input", `[{"type":"message","role":"user","content":${content}},${added}]`);
  }
  const choice = body.find("tool_choice");
  if (choice !== undefined && body.text("tool_choice") !== "none") rewriting.set("tool_choice", '"auto"');
  const next = new JsonBody();
  for (const chunk of rewriting.chunks()) next.push(chunk);
  next.end();
  return next;
}
