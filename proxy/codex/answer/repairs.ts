/** What a model did wrong in a call and what was unambiguous enough to be put right, by kind: the metric's label. */
export type RepairKind =
  /** A namespaced tool was called without its namespace or with another separator, or the name carries a piece of the model's own format. */
  | "name"
  /** Arguments as an object, not as its text. */
  | "arguments-object"
  /** No arguments: an empty object. */
  | "arguments-empty"
  /** The arguments' text was quoted once more. */
  | "arguments-quoted"
  | "code-fence"
  /** A custom tool's text under another key, or in one object too many. */
  | "custom-key"
  /** A custom tool's text without an object around it. */
  | "custom-bare"
  /** No `call_id`, without which Codex drops the call. */
  | "call-id";

export type NoteRepair = (kind: RepairKind) => void;

/** The text within a code fence that is all there is; undefined when it is not. A fence in the middle makes it two, and that is not decided here. */
export function unfenced(text: string): string | undefined {
  const inner = /^```[\w+.-]*[ \t]*\r?\n(.*?)\r?\n?```$/s.exec(text.trim())?.[1];
  return inner === undefined || /^```/m.test(inner) ? undefined : inner;
}
