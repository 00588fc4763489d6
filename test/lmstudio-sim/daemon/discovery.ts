/** Finding the daemon of a home, alive. The real `lms` also tries five fixed ports; stand-ins share machines, so only the recorded one counts here. */
import { readFileSync } from "node:fs";
import { apiInfoFile } from "./home.ts";
import type { DaemonStatus } from "./protocol.ts";

export interface FoundDaemon extends DaemonStatus {
  readonly port: number;
}

export async function runningDaemon(home: string): Promise<FoundDaemon | null> {
  try {
    const file = process.env.LMS_API_SERVER_INFO_PATH ?? apiInfoFile(home);
    const { port } = JSON.parse(readFileSync(file, "utf8")) as { port: number };
    const response = await fetch(`http://127.0.0.1:${port}/lms-status`, { signal: AbortSignal.timeout(3000) });
    const status = (await response.json()) as DaemonStatus;
    // The file may outlive a killed daemon, and its port may be somebody else's by now.
    return status.home === home ? { ...status, port } : null;
  } catch {
    return null;
  }
}
