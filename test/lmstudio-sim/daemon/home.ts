/** Where LM Studio lives for a user, and the files by which `lms` and the daemon find each other. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Pointer file, then the old place if it exists, then the usual one; writes the pointer, as the real one does. */
export function findLmstudioHome(userHome = homedir()): string {
  const pointer = join(userHome, ".lmstudio-home-pointer");
  try {
    const pointed = readFileSync(pointer, "utf8").trim();
    if (pointed !== "") return pointed;
  } catch {
    // No pointer yet.
  }
  const old = join(userHome, ".cache", "lm-studio");
  const home = existsSync(old) ? old : join(userHome, ".lmstudio");
  try {
    writeFileSync(pointer, home);
  } catch {
    // A home that cannot be written still has a default.
  }
  return home;
}

/** `{port}` of the daemon's own API; several stand-ins on one machine must not share ports, so each records the one it was given. */
export const apiInfoFile = (home: string): string => join(home, ".internal", "http-server.json");
export const installLocationFile = (home: string): string => join(home, ".internal", "llmster-install-location.json");
export const tempFolder = (home: string): string => join(home, ".internal", "temp");

/** What `lms` shows the daemon to be let in; nothing here asks for it. */
export function writeKey(home: string): void {
  const file = join(home, ".internal", "lms-key-2");
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString("hex"), { mode: 0o600 });
}

/** File versions are `0.0.25-1`; the daemon calls the same thing `0.0.25+1`. */
export const reportedVersion = (version: string): string => version.replace(/-(?=\d+$)/, "+");
