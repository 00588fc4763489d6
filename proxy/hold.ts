/** The command `hold`: the parent of serving processes, and what signals do to it. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { holdSocket } from "./life/parent.ts";
import { openLog } from "./seeing/open-log.ts";

export async function hold(file: string): Promise<void> {
  const log = openLog();
  // By the paths it was started with, not by the resolved ones: these may be links to whatever version is current.
  const program = process.argv[1] ?? fileURLToPath(import.meta.url);
  const node = path.isAbsolute(process.argv0) ? process.argv0 : process.execPath;
  const parent = await holdSocket(file, [node, ...process.execArgv, program, "--config", file], log);
  process.on("SIGHUP", () => void parent.replace());
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    signals++;
    if (signals > 1) process.exit(0);
    log.info({ signal }, "asked to end");
    void parent.end().then(() => process.exit(0));
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
}
