/** `lms daemon up | status | down | update`. */
import { spawnSync } from "node:child_process";
import { runningDaemon } from "../daemon/discovery.ts";
import { installLocationFile } from "../daemon/home.ts";
import { readJson } from "../daemon/settings.ts";
import { readTraps } from "../traps.ts";
import { Client, wake } from "./client.ts";
import { Fault, print, say } from "./console.ts";

export async function daemonUp(home: string, options: { json?: boolean }): Promise<void> {
  const before = await runningDaemon(home);
  const { pid, isDaemon, version } = before ?? (await wake(home));
  if (options.json === true) print(JSON.stringify({ status: "running", pid, isDaemon, version }));
  else if (!isDaemon) say(`LM Studio is already running (PID: ${pid}); not starting a second daemon.`);
  else say(before === null ? `llmster started (PID: ${pid}).` : `The daemon is already running (PID: ${pid}).`);
}

/** Exit 0 whatever it finds. */
export async function daemonStatus(home: string, options: { json?: boolean }): Promise<void> {
  const found = await runningDaemon(home);
  if (options.json === true)
    print(
      JSON.stringify(
        found === null ? { status: "not-running" } : { status: "running", pid: found.pid, isDaemon: found.isDaemon },
      ),
    );
  else say(found === null ? "LM Studio is not running" : `llmster v${found.version} is running (PID: ${found.pid})`);
}

/** Returns as soon as the daemon has heard it, not when it has gone. */
export async function daemonDown(home: string): Promise<void> {
  const found = await runningDaemon(home);
  if (found === null) throw new Fault("Daemon is not running.");
  if (!found.isDaemon)
    throw new Fault("The daemon is currently running as part of LM Studio. Please exit LM Studio to stop it.");
  say("Shutting down llmster...");
  await new Client(found).call("down", {});
  say("Done.");
}

export async function daemonUpdate(home: string): Promise<void> {
  const path = readJson(installLocationFile(home))?.path;
  if (typeof path !== "string") throw new Fault("No llmster installation found.");
  if (readTraps(home).libatomicMissing)
    throw new Fault("libatomic.so.1 is required but was not found. Install it and try again.");
  const { status } = spawnSync(path, ["upgrade"], { stdio: "inherit" });
  process.exitCode = status === 0 ? 0 : 1;
}
