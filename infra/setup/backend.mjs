// Where Pulumi keeps its state when nobody has told it: a folder of this user with a passphrase of its own, so that the first command
// works without an account and without anything to type. Whoever has chosen a backend or a passphrase keeps it.

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { clone, stateFolder } from "./folders.mjs";
import { say } from "./report.mjs";

function textOf(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** A backend was chosen: by the environment, by the project's file, or by `pulumi login`. */
function isChosen(env) {
  if (env.PULUMI_BACKEND_URL || env.PULUMI_ACCESS_TOKEN) return true;
  if (/^backend:/m.test(textOf(join(clone, "Pulumi.yaml")))) return true;
  const home = env.PULUMI_HOME || join(homedir(), ".pulumi");
  return /"current": *"[^"]/.test(textOf(join(home, "credentials.json")));
}

/** @param env that Pulumi will run with @returns what it needs beyond that */
export function backendEnvironment(env = process.env) {
  if (isChosen(env)) return {};
  const folder = stateFolder(env);
  const states = join(folder, "pulumi");
  mkdirSync(states, { recursive: true, mode: 0o700 });
  const chosen = { PULUMI_BACKEND_URL: pathToFileURL(states).href };
  if (env.PULUMI_CONFIG_PASSPHRASE !== undefined || env.PULUMI_CONFIG_PASSPHRASE_FILE) return chosen;
  const passphrase = join(folder, "passphrase");
  if (!existsSync(passphrase)) {
    say(`state: kept in ${states}, its secrets under the passphrase in ${passphrase}: keep a copy of both`);
    // Two first runs at once: the one that is later takes the other's.
    try {
      writeFileSync(passphrase, randomBytes(24).toString("base64url"), { mode: 0o600, flag: "wx" });
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
  }
  return { ...chosen, PULUMI_CONFIG_PASSPHRASE_FILE: passphrase };
}
