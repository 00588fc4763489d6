/** Each process has a socket of its own beside its configuration, and a note in the temporary folder that says where. */
import { randomBytes } from "node:crypto";
import { chmod, open, readdir, readFile, rm } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import type { FrontDoor } from "./front-door.ts";

const socketName = /^admin-[0-9a-f]+\.sock$/;
/** Kernel limit for the path of a unix socket on Linux and macOS, one byte less than the smaller field. */
const longestSocketPath = 103;

/** Opens the admin socket in `folder`, for its owner only, and returns its path. Sockets that nobody answers any more are removed. */
export async function openAdminSocket(door: FrontDoor, folder: string): Promise<string> {
  await removeDeadSockets(folder);
  const file = path.join(folder, `admin-${randomBytes(6).toString("hex")}.sock`);
  if (Buffer.byteLength(file) > longestSocketPath) {
    throw new Error(
      `${file} is too long for a unix socket (${longestSocketPath} bytes at most): move the configuration to a shorter path`,
    );
  }
  // Bound inside this very call, so that the file is never open to others, not even for a moment.
  const before = process.umask(0o177);
  const listening = door.listen({ path: file }, "admin");
  process.umask(before);
  await listening;
  await chmod(file, 0o600);
  return file;
}

async function removeDeadSockets(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    if (socketName.test(name) && !(await answers(file))) await rm(file, { force: true });
  }
}

function answers(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(file);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  });
}

/** Where `health` finds the socket: private to the container there, one per user elsewhere. */
export function pointerFile(): string {
  return path.join(os.tmpdir(), `lmstack-proxy-${process.getuid?.() ?? 0}.health`);
}

/** A fresh file every time: what somebody else may have put at that name is not followed. */
export async function writePointer(socket: string): Promise<void> {
  await rm(pointerFile(), { force: true });
  const file = await open(pointerFile(), "wx", 0o600);
  await file.writeFile(socket);
  await file.close();
}

/** Asks the process of this container whether it is up. Throws in words when it is not. */
export async function checkHealth(timeoutMilliseconds = 3_000): Promise<void> {
  const socketPath = await readFile(pointerFile(), "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new Error(`no proxy has started here: ${pointerFile()} cannot be read (${error.code})`);
  });
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const request = http.get(
      { socketPath, path: "/healthz", timeout: timeoutMilliseconds, agent: false },
      (response) => {
        response.resume().once("end", () => resolve(response.statusCode));
      },
    );
    request.once("timeout", () => request.destroy(new Error(`no answer within ${timeoutMilliseconds} ms`)));
    request.once("error", (error) => reject(new Error(`the proxy does not answer on ${socketPath}: ${error.message}`)));
  });
  if (status !== 200) throw new Error(`the proxy answered ${status} on ${socketPath}, expected 200`);
}
