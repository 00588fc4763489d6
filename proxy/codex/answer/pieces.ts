/** Items whose end never came, put together from the pieces that did. */
import { type Json, parsed, recordsOf } from "../../unknown-json.ts";

/** Which list of an item a kind of event adds to, and as what. */
const lists: Readonly<
  Record<string, { readonly list: "content" | "summary"; readonly type: string; readonly key: string }>
> = {
  output_text: { list: "content", type: "output_text", key: "text" },
  refusal: { list: "content", type: "refusal", key: "refusal" },
  reasoning_text: { list: "content", type: "reasoning_text", key: "text" },
  reasoning_summary_text: { list: "summary", type: "summary_text", key: "text" },
};

export class Pieces {
  readonly #args = new Map<number, string>();
  /** By output index, then by list, kind and place: in the order in which they began. */
  readonly #parts = new Map<number, Map<string, string>>();

  /** Output indexes of which pieces came. */
  get indexes(): number[] {
    return [...new Set([...this.#args.keys(), ...this.#parts.keys()])];
  }

  add(event: Json): void {
    const [, kind, step] = /^response\.(\w+)\.(delta|done)$/.exec(String(event.type)) ?? [];
    const index = event.output_index;
    if (kind === undefined || typeof index !== "number") return;
    if (kind === "function_call_arguments")
      grow(this.#args, index, step === "done" ? event.arguments : event.delta, step);
    const list = lists[kind];
    if (list === undefined) return;
    const parts = this.#parts.get(index) ?? new Map<string, string>();
    this.#parts.set(index, parts);
    const place = `${kind}.${event.content_index ?? event.summary_index ?? 0}`;
    grow(parts, place, step === "done" ? event[list.key] : event.delta, step);
  }

  /** The item as it would have been at its end. `begun` is what its beginning said, empty when that did not come either. */
  complete(index: number, begun: Json, id: string): Json {
    const args = this.#args.get(index);
    if (begun.type === "function_call" || (begun.type === undefined && args !== undefined))
      return { type: "function_call", ...begun, arguments: args ?? begun.arguments, status: "completed" };
    const parts = [...(this.#parts.get(index) ?? [])];
    const listed = (name: "content" | "summary") =>
      parts.flatMap(([place, text]) => {
        const { list, type, key } = lists[place.split(".", 1)[0] as string] as (typeof lists)[string];
        if (list !== name) return [];
        return [type === "output_text" ? { type, [key]: text, annotations: [] } : { type, [key]: text }];
      });
    const content = listed("content");
    const reasoning = parts.every(([place]) => place.startsWith("reasoning"));
    const type = begun.type ?? (reasoning ? "reasoning" : "message");
    if (type === "reasoning") return { type, id, ...begun, summary: listed("summary"), content, status: "completed" };
    if (type !== "message") return { ...begun, status: "completed" };
    const own = content.length > 0 ? content : recordsOf(begun.content);
    return { type, id, role: "assistant", ...begun, content: own, status: "completed" };
  }
}

/** The end of a text says it once more as a whole. */
function grow<Key>(texts: Map<Key, string>, key: Key, piece: unknown, step: string | undefined): void {
  const before = texts.get(key) ?? "";
  const text = typeof piece === "string" ? piece : piece === undefined ? "" : JSON.stringify(piece);
  texts.set(key, step === "done" && text !== "" ? text : before + text);
}

/** The JSON of an event's data lines. */
export function eventData(bytes: Buffer, start: number, end: number, lines: number): unknown {
  const text = bytes.toString("utf8", start, end);
  return parsed(lines > 1 ? text.replaceAll(/\r?\n(?:data:)?/g, " ") : text);
}
