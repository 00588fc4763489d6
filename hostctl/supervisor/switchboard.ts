/** Tells the proxies which instance answers for a model, and hears from them which instances still have requests. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { instancesFileName } from "../../infra/spec/host-layout.ts";
import { readText, writeAtomic } from "../atomic-file.ts";
import { HostFailure } from "../failure.ts";
import { type Host, paced } from "../host.ts";
import { type Answer, send } from "../http.ts";
import { pause } from "../pause.ts";
import { adminSockets } from "../resources/admin-sockets.ts";

type Serves = Readonly<Record<string, string>>;

interface Told {
  readonly serving: Serves;
  readonly running: Readonly<Record<string, number>>;
}

const answerMs = 2_000;
const pollMs = 250;

/** Null when a proxy does not answer, or is too old to know the call. */
async function told(socketPath: string): Promise<Told | null> {
  const answer = await send({ socketPath }, "GET", "/-/instances", null, answerMs).catch(() => null);
  return answer?.status === 200 ? readTold(answer) : null;
}

function readTold({ body }: Answer): Told | null {
  try {
    const { serving, running } = JSON.parse(body) as Partial<Told>;
    return typeof serving === "object" && typeof running === "object" ? { serving, running } : null;
  } catch {
    return null;
  }
}

/** Whether there are proxies, and every one of them can be sent to another instance. */
export async function proxiesFollow(host: Host): Promise<boolean> {
  const answers = await Promise.all((await adminSockets(host)).map(told));
  return answers.length > 0 && answers.every((answer) => answer !== null);
}

/** Writes it where proxies that start later look, too. Does nothing when it is written already. */
export async function tellInstances(host: Host, serves: Serves): Promise<void> {
  if (!existsSync(host.paths.proxy)) return;
  const file = join(host.paths.proxy, instancesFileName);
  const text = `${JSON.stringify(serves, null, 2)}\n`;
  const before = await readText(file);
  if (before === text || (before === null && Object.keys(serves).length === 0)) return;
  await writeAtomic(file, text);
  const sockets = await adminSockets(host);
  await Promise.all(
    sockets.map((socketPath) => send({ socketPath }, "POST", "/-/reload", null, answerMs).catch(() => null)),
  );
}

/** @throws HostFailure when a proxy goes on sending requests elsewhere */
export async function requireFollowed(host: Host, model: string, instance: string): Promise<void> {
  const answers = await Promise.all((await adminSockets(host)).map(told));
  if (answers.every((answer) => answer === null || (answer.serving[model] ?? model) === instance)) return;
  throw new HostFailure(
    "unhealthy",
    `a proxy of this host does not send the requests for ${model} to its new instance`,
    "look at the proxy's log on the host: it may refuse its configuration",
  );
}

/** Resolves when no proxy has a request at the instance any more, or has one for too long. */
export async function drained(
  host: Host,
  instance: string,
  patienceMs: number,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + patienceMs;
  const waiting = paced(say, 5_000);
  while (!signal.aborted) {
    const answers = await Promise.all((await adminSockets(host)).map(told));
    const running = answers.reduce((sum, answer) => sum + (answer?.running[instance] ?? 0), 0);
    if (running === 0) return;
    if (Date.now() >= deadline) return say(`${instance}: requests that still run are cut off (${running})`);
    waiting(`${instance}: waiting for its running requests to end (${running})`);
    await pause(pollMs);
  }
}
