/** `lms server start | stop | status`. */
import { setTimeout as delay } from "node:timers/promises";
import { runningDaemon } from "../daemon/discovery.ts";
import { readJson, serverConfigFile } from "../daemon/settings.ts";
import { readTraps } from "../traps.ts";
import { Client, wakingClient } from "./client.ts";
import { Fault, print, say } from "./console.ts";

/** The port is remembered from the last start, the address and CORS are not: left out, they fall back. */
export async function serverStart(
  home: string,
  options: { port?: number; bind?: string; cors?: boolean },
): Promise<void> {
  const port = options.port ?? configuredPort(home) ?? 1234;
  const bind = options.bind ?? process.env.LMS_SERVER_HOST ?? "127.0.0.1";
  const client = await wakingClient(home);
  // A port that is taken shows only in the check that follows.
  await client.call("startServer", { port, bind, cors: options.cors === true }).catch(() => null);
  const traps = readTraps(home);
  for (let tries = 0; tries < 5 && !traps.serverVerifyFails; tries += 1) {
    if (await greets(bind, port)) return say(`Success! Server is now running on port ${port}`);
    await delay(traps.verifyIntervalMs);
  }
  throw new Fault("Failed to verify the server is running. Please try to use another port.");
}

export async function serverStop(home: string): Promise<void> {
  const found = await runningDaemon(home);
  const stopped = found === null ? null : await new Client(found).call("stopServer", {});
  if (stopped === null) throw new Fault("The server is not running.");
  say(`Stopped the server on port ${stopped.port}.`);
}

/** From the configuration file and the greeting alone: needs no daemon, exit 0 always. */
export async function serverStatus(home: string, options: { json?: boolean }): Promise<void> {
  const port = configuredPort(home);
  const running = port !== null && (await greets("127.0.0.1", port));
  if (options.json === true) print(JSON.stringify({ running, ...(port === null ? {} : { port }) }));
  else say(running ? `The server is running on port ${port}.` : "The server is not running.");
}

function configuredPort(home: string): number | null {
  const port = readJson(serverConfigFile(home))?.port;
  return typeof port === "number" ? port : null;
}

async function greets(host: string, port: number): Promise<boolean> {
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host;
  try {
    const response = await fetch(`http://${reachable}:${port}/lmstudio-greeting`, { signal: AbortSignal.timeout(500) });
    return response.status === 200 && ((await response.json()) as { lmstudio?: boolean }).lmstudio === true;
  } catch {
    return false;
  }
}
