/** Each process has a socket of its own beside its configuration, for those who share that folder with it. */
import { randomBytes } from "node:crypto";
import { chmod, readdir, rm } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import type { FrontDoor } from "./front-door.ts";

/** Names of admin sockets in a folder that proxies share. */
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
  const listening = door.openAdmin(file);
  process.umask(before);
  await listening;
  await chmod(file, 0o600);
  return file;
}

/** Admin sockets of other processes in the folder of `own`. */
export async function neighbours(own: string): Promise<string[]> {
  const folder = path.dirname(own);
  const names = (await readdir(folder)).filter((name) => socketName.test(name));
  return names.map((name) => path.join(folder, name)).filter((file) => file !== own);
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
