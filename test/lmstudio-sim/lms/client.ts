/** How `lms` reaches the daemon, waking it where the real one does. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { type FoundDaemon, runningDaemon } from "../daemon/discovery.ts";
import { installLocationFile } from "../daemon/home.ts";
import type { CallName, Calls } from "../daemon/protocol.ts";
import { readJson } from "../daemon/settings.ts";
import { readTraps } from "../traps.ts";
import { Fault, say } from "./console.ts";

export class Client {
  readonly daemon: FoundDaemon;

  constructor(daemon: FoundDaemon) {
    this.daemon = daemon;
  }

  async call<Name extends CallName>(name: Name, input: Calls[Name]["in"]): Promise<Calls[Name]["out"]> {
    const response = await requestDaemon(this.daemon, `/${name}`, JSON.stringify(input));
    let text = "";
    for await (const chunk of response) text += String(chunk);
    const answer = JSON.parse(text) as { result: Calls[Name]["out"]; error?: string };
    if (answer.error !== undefined) throw new Fault(answer.error);
    return answer.result;
  }
}

/** Without any time limit, unlike fetch: a load takes as long as it takes, and a log may be silent for hours. */
export async function requestDaemon(daemon: FoundDaemon, path: string, body = ""): Promise<IncomingMessage> {
  const outgoing = request({ host: "127.0.0.1", port: daemon.port, path, method: "POST" });
  outgoing.end(body);
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  return response.setEncoding("utf8");
}

/** Starts the daemon if it is not there: any harmless-looking listing does. */
export async function wakingClient(home: string): Promise<Client> {
  return new Client((await runningDaemon(home)) ?? (await wake(home)));
}

export async function wake(home: string): Promise<FoundDaemon> {
  const location = readJson(installLocationFile(home));
  if (typeof location?.path !== "string") {
    throw new Fault("LM Studio daemon is not running and no valid installation could be found or installed.");
  }
  say("Waking up LM Studio service...");
  mkdirSync(home, { recursive: true });
  const { path } = location;
  await new Promise<void>((resolve, reject) => {
    // A session of its own: it survives the terminal, and no service manager that ran `lms` owns it.
    const child = spawn(path, [], { detached: true, stdio: "ignore", cwd: home });
    child.once("error", () =>
      reject(new Fault("LM Studio daemon is not running and no valid installation could be found or installed.")),
    );
    child.once("spawn", () => {
      child.unref();
      resolve();
    });
  });
  for (let tries = 0; tries < 60; tries += 1) {
    await delay(readTraps(home).wakePollMs);
    const found = await runningDaemon(home);
    if (found !== null) return found;
  }
  say("Error: Timed out waiting for LM Studio daemon to start.");
  throw new Fault("Failed to start or connect to local LM Studio API server.");
}
