/** Progress of slow commands: something to read at least every fifteen seconds, without a line for every package. */
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

export type Progress = (line: string) => void;

/** What of execa's result promise is used here. */
interface Running extends PromiseLike<{ readonly exitCode?: number; readonly all?: string; readonly command: string }> {
  readonly all: Readable;
}

/**
 * Waits for a command and reports its latest line every few seconds.
 * @throws with the last lines of its output when it fails
 */
export async function streaming(onProgress: Progress, what: string, running: Running): Promise<void> {
  onProgress(what);
  const started = Date.now();
  let latest = "";
  createInterface({ input: running.all }).on("line", (line) => {
    if (line.trim() !== "") latest = line.trim().slice(0, 100);
  });
  const timer = setInterval(
    () => onProgress(`${what}: ${Math.round((Date.now() - started) / 1000)} s, ${latest}`),
    10_000,
  );
  try {
    const result = await running;
    if (result.exitCode !== 0) {
      const last = (result.all ?? "").trimEnd().split("\n").slice(-15).join("\n");
      throw new Error(`${what} failed (exit ${result.exitCode}): ${result.command}\n${last}`);
    }
  } finally {
    clearInterval(timer);
  }
}
