/** One turn with the real Codex CLI, read from what `codex exec --json` says. Pure. */
import type { Ending } from "../codex-runs/codex.ts";

export interface CodexTurn {
  /** Which of the people who work with it. */
  readonly user: number;
  /** Empty when it did not come to one. */
  readonly thread: string;
  /** In ms since the epoch. */
  readonly began: number;
  readonly ended: number;
  /** Null when it had to be killed: it hung. */
  readonly exitCode: number | null;
  /** Its last words. */
  readonly text: string;
  /** Commands that it ran for the model, and that ended well. */
  readonly calls: number;
  /** What it showed of errors and reconnects, in its own words. */
  readonly errors: readonly string[];
  /** Requests to the endpoint for answers. */
  readonly requests: number;
  /** Those of them that it sent once more without a word to its user. */
  readonly again: number;
}

/** Its requests are in no event. With this in RUST_LOG the binary (0.169.0) logs each, and errors as it does by itself. */
export const codexLog = "error,codex_otel.trace_safe=info";

interface Event {
  readonly type: string;
  readonly thread_id?: string;
  readonly message?: string;
  readonly error?: { readonly message?: string };
  readonly item?: {
    readonly type: string;
    readonly text?: string;
    readonly message?: string;
    readonly exit_code?: number | null;
  };
}

export function readTurn({ exitCode, answer, log }: Ending): Omit<CodexTurn, "user" | "began" | "ended"> {
  const events = answer
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Event);
  const items = events.flatMap(({ type, item }) => (type === "item.completed" && item !== undefined ? [item] : []));
  const lines = log.split("\n");
  const requests = lines.filter((line) => /"codex\.api_request".* endpoint="\/responses"/.test(line));
  return {
    exitCode,
    thread: events.find(({ type }) => type === "thread.started")?.thread_id ?? "",
    text: items.findLast(({ type }) => type === "agent_message")?.text ?? "",
    calls: items.filter(({ type, exit_code }) => type === "command_execution" && exit_code === 0).length,
    errors: [
      ...events.flatMap(({ type, message, error }) =>
        type === "error" || type === "turn.failed" ? [message ?? error?.message ?? type] : [],
      ),
      ...items.flatMap(({ type, message }) => (type === "error" ? [message ?? type] : [])),
      ...lines.filter((line) => / ERROR |^Error: /.test(line)),
    ],
    requests: requests.length,
    again: requests.filter((line) => / attempt=[1-9]/.test(line)).length,
  };
}
