// Where set-up keeps things: outside the clone, so that every clone of one user shares them.

import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const clone = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const cloneNode = join(clone, "node_modules", ".bin", "node");

/** Engines, built or downloaded: can be deleted at any time, costs a rebuild. */
export function cacheFolder(env = process.env) {
  return join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "lmstack");
}

/** Logs of what set-up started. */
export function stateFolder(env = process.env) {
  return join(env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "lmstack");
}
