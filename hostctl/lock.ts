import { closeSync, constants, mkdirSync, openSync } from "node:fs";
import { appendFile, mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { readText, writeAtomic } from "./atomic-file.ts";
import { sha256 } from "./digest.ts";
import { errno, HostFailure } from "./failure.ts";
import { type Host, paced } from "./host.ts";

export type Release = () => Promise<void>;

/** `O_EXLOCK` of the BSDs, which Node does not export: open takes the lock, the kernel drops it with the descriptor. */
const O_EXLOCK = 0x20;

/**
 * Takes the lock or says null at once. The kernel holds it and lets go when the process dies, however it dies: on Linux a bound abstract
 * socket, elsewhere an exclusively locked file.
 */
export async function tryLock(host: Host, name: string): Promise<Release | null> {
  return host.platform === "linux" ? await lockBySocket(host, name) : lockByFile(host, name);
}

function lockBySocket(host: Host, name: string): Promise<Release | null> {
  const address = `\0lmstack-${sha256(`${host.uid}:${host.home}:${name}`).slice(0, 40)}`;
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error) => (errno(error) === "EADDRINUSE" ? resolve(null) : reject(error)));
    server.listen({ path: address }, () => {
      server.unref();
      resolve(() => new Promise((done) => server.close(() => done())));
    });
  });
}

export function lockByFile(host: Host, name: string, open: typeof openSync = openSync): Release | null {
  mkdirSync(host.paths.locks, { recursive: true, mode: 0o700 });
  const path = join(host.paths.locks, `${encodeURIComponent(name)}.lock`);
  try {
    const fd = open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK | O_EXLOCK, 0o600);
    return async () => closeSync(fd);
  } catch (error) {
    if (errno(error) === "EAGAIN" || errno(error) === "EWOULDBLOCK") return null;
    throw error;
  }
}

/** Whoever changes the host as a whole holds this one: one at a time. */
export const hostLock = "host";

/** Waits for the lock, says so, gives up with `busy`. Holding it is written down in a log, so that overlaps could be found. */
export async function withLock<T>(
  host: Host,
  name: string,
  holder: string,
  body: () => Promise<T>,
  waitMs = 900_000,
): Promise<T> {
  const note = join(host.paths.locks, `${encodeURIComponent(name)}.holder`);
  const deadline = Date.now() + waitMs;
  const say = paced(host.say, 5000);
  let release = await tryLock(host, name);
  while (release === null) {
    const other = (await readText(note))?.trim() || "another hostctl";
    if (Date.now() > deadline) {
      throw new HostFailure(
        "busy",
        `${other} has been working on this host for more than ${Math.round(waitMs / 60_000)} minutes; ${holder} did not get its turn`,
        "wait for it to end, or end that process on the host, then run up again",
      );
    }
    say(`waiting for ${other} to finish on this host`);
    await new Promise((resolve) => setTimeout(resolve, 200));
    release = await tryLock(host, name);
  }
  try {
    await writeAtomic(note, `${holder} (pid ${process.pid})\n`);
    await journal(host, name, "begin", holder);
    return await body();
  } finally {
    await journal(host, name, "end", holder);
    await release();
  }
}

async function journal(host: Host, name: string, event: "begin" | "end", what: string): Promise<void> {
  if (name !== hostLock) return;
  if (event === "begin") await mkdir(host.paths.logs, { recursive: true, mode: 0o700 });
  const line = `${new Date().toISOString()} ${event} ${process.pid} ${what}\n`;
  await appendFile(join(host.paths.logs, "changes.log"), line, { mode: 0o600 }).catch((error: unknown) => {
    // The removal of the runtime takes the log along.
    if (errno(error) !== "ENOENT") throw error;
  });
}
