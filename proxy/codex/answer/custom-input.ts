/** The text that a custom tool gets, from the arguments of the function that LM Studio was told in its place. */

import { isRecord, type Json, parsed } from "../../unknown-json.ts";
import { customArgument } from "../calls.ts";
import { type NoteRepair, unfenced } from "./repairs.ts";

/** Objects within objects. */
const deepest = 3;
/** How `apply_patch`'s text begins, whatever the key above it is called. */
const patchStart = /^\s*\*\*\* Begin Patch/;

/**
 * What cannot be told stays as the model wrote it: the tool refuses such a text, and the model learns of it. A call that was cut off is such a
 * text too, and must not look like a whole one.
 */
export function customInput(args: unknown, tool: string, note: NoteRepair): string {
  if (typeof args !== "string") {
    note("arguments-object");
    return fromObject(args, tool, note) ?? (args === undefined || args === null ? "" : JSON.stringify(args));
  }
  if (args.trim() === "") return "";
  const value = parsed(args);
  if (isRecord(value)) return fromObject(value, tool, note) ?? args;
  const fenced = value === undefined ? unfenced(args) : undefined;
  if (fenced !== undefined) note("code-fence");
  else if (!looksCut(args)) note("custom-bare");
  return stripped(fenced ?? (typeof value === "string" ? value : args), tool, note);
}

/** JSON that begins as the object should and does not end. */
const looksCut = (text: string): boolean => /^\s*\{\s*"/.test(text);

function fromObject(value: unknown, tool: string, note: NoteRepair, depth = 0): string | undefined {
  if (Array.isArray(value)) {
    // The form of shell commands: ["apply_patch", "*** Begin Patch…"].
    if (value.length !== 2 || value[0] !== tool || typeof value[1] !== "string") return undefined;
    note("custom-key");
    return stripped(value[1], tool, note, depth);
  }
  if (!isRecord(value) || depth > deepest) return undefined;
  const own = value[customArgument];
  if (typeof own === "string") return stripped(own, tool, note, depth);
  const [only] = Object.values(value);
  if (Object.keys(value).length !== 1) return undefined;
  if (typeof only !== "string") return fromObject(only, tool, note, depth + 1);
  note("custom-key");
  return stripped(only, tool, note, depth);
}

/** Without a code fence or a second object around it. */
function stripped(text: string, tool: string, note: NoteRepair, depth = 0): string {
  const fenced = unfenced(text);
  if (fenced !== undefined) {
    note("code-fence");
    return depth > deepest ? fenced : stripped(fenced, tool, note, depth + 1);
  }
  const value = text.trimStart().startsWith("{") ? parsed(text) : undefined;
  if (depth > deepest || !isRecord(value) || !isWrapping(value)) return text;
  note("custom-key");
  return fromObject(value, tool, () => {}, depth + 1) ?? text;
}

/** A text that is itself JSON may be what the tool wants: only what is the function's own object, or holds a patch, is one too many. */
function isWrapping(value: Json): boolean {
  const [key, ...more] = Object.keys(value);
  if (key === undefined || more.length > 0) return false;
  const only = value[key];
  return typeof only === "string" && (key === customArgument || patchStart.test(only));
}
