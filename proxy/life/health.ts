/** How `health` finds and asks its own process: never the shared port, where a successor may answer. */
import { open, readFile, rm } from "node:fs/promises";
import http from "node:http";
import os from "node:os";
import path from "node:path";

export class HealthFault extends Error {
  override readonly name = "HealthFault";
}

/** Note of where the admin socket is: private to the container there, one per user elsewhere. */
function pointerFile(): string {
  return path.join(os.tmpdir(), `lmstack-proxy-${process.getuid?.() ?? 0}.health`);
}

/** A fresh file every time: what somebody else may have put at that name is not followed. */
export async function writePointer(socket: string): Promise<void> {
  await rm(pointerFile(), { force: true });
  const file = await open(pointerFile(), "wx", 0o600);
  await file.writeFile(socket);
  await file.close();
}

/** Asks the process of this container whether it is up, and resolves with its admin socket. Throws in words when it is not. */
export async function checkHealth(timeoutMilliseconds = 3_000): Promise<string> {
  const socketPath = await readFile(pointerFile(), "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new HealthFault(`no proxy has started here: ${pointerFile()} cannot be read (${error.code})`);
  });
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const request = http.get(
      { socketPath, path: "/healthz", timeout: timeoutMilliseconds, agent: false },
      (response) => {
        response.resume().once("end", () => resolve(response.statusCode));
      },
    );
    request.once("timeout", () => request.destroy(new Error(`no answer within ${timeoutMilliseconds} ms`)));
    request.once("error", (error) =>
      reject(new HealthFault(`the proxy does not answer on ${socketPath}: ${error.message}`)),
    );
  });
  if (status !== 200) throw new HealthFault(`the proxy answered ${status} on ${socketPath}, expected 200`);
  return socketPath;
}
