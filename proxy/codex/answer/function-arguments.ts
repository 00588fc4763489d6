/** A function's arguments as Codex takes them: the text of an object. It drops a call that has an object instead, without a word. */
import { isRecord, parsed } from "../../unknown-json.ts";
import { type NoteRepair, unfenced } from "./repairs.ts";

/** What is no JSON stays: Codex tells the model what is wrong with it. */
export function functionArguments(args: unknown, note: NoteRepair): string {
  if (args === undefined || args === null) return empty(note);
  if (typeof args !== "string") {
    note("arguments-object");
    return JSON.stringify(args);
  }
  const first = args.trimStart()[0];
  if (first === "{") return args;
  if (first === undefined) return empty(note);
  if (first === '"') {
    const inner = parsed(args);
    if (typeof inner !== "string" || !isRecord(parsed(inner))) return args;
    note("arguments-quoted");
    return inner;
  }
  const fenced = first === "`" ? unfenced(args) : undefined;
  if (fenced === undefined || !isRecord(parsed(fenced))) return args;
  note("code-fence");
  return fenced;
}

function empty(note: NoteRepair): string {
  note("arguments-empty");
  return "{}";
}
