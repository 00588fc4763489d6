/**
 * LM Studio's settings files: merged key by key, because LM Studio rewrites them too and a person's keys stay. Edited only while the
 * daemon is down. What each value was before is kept, so that removal can put it back.
 */
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Change } from "../../infra/spec/host-documents.ts";
import { readJson, writeJson } from "../atomic-file.ts";
import type { Host } from "../host.ts";
import { readInstalled } from "./installed.ts";

type Json = string | number | boolean | null;
type Tree = { [key: string]: Json | Tree };

/** Keys are paths with dots. */
type Wanted = Readonly<Record<string, Readonly<Record<string, Json>>>>;

const serverFile = ".internal/http-server-config.json";
const settingsFile = "settings.json";

interface Written {
  readonly [file: string]: { readonly [key: string]: { readonly value: Json; readonly prior: Json | undefined } };
}

export function wantedSettings(host: Host, backendPort: number, downloadsFolder: string | null): Wanted {
  return {
    [serverFile]: {
      port: backendPort,
      networkInterface: "127.0.0.1",
      cors: false,
      // The default writes prompts to disk; these are the other ways in which a log may hold them.
      logSensitiveData: false,
      logIncomingTokens: false,
      fileLoggingMode: "succinct",
      autoStartOnLaunch: false,
      justInTimeModelLoading: false,
    },
    [settingsFile]: {
      // Engines that update themselves broke hosts.
      "developer.autoUpdateExtensionPacks": false,
      // The engine of the version before is part of the way back.
      "developer.autoDeleteExtensionPacks": false,
      // A settings.json without this key makes `lms import` fail.
      ...(downloadsFolder === null ? { downloadsFolder: join(host.paths.lmstudio, "models") } : {}),
    },
  };
}

export async function modelsFolder(host: Host): Promise<string> {
  const settings = await readJson<{ downloadsFolder?: unknown }>(join(host.paths.lmstudio, settingsFile));
  const folder = settings?.downloadsFolder;
  return typeof folder === "string" && folder !== "" ? folder : join(host.paths.lmstudio, "models");
}

/** The daemon must be down. Also makes the folder whose absence breaks loads in llmster 0.0.25. */
export async function applySettings(host: Host, backendPort: number): Promise<Change[]> {
  await mkdir(join(host.paths.lmstudio, ".internal", "temp"), { recursive: true });
  await closeFolders(host);
  const plan = await planSettings(host, backendPort);
  // First the record of what was there, then the change: a kill between the two forgets nothing.
  await writeJson(recordPath(host), plan.record);
  for (const [file, tree] of plan.files) {
    await writeJson(join(host.paths.lmstudio, file), tree);
  }
  return plan.changes;
}

/** Keys, histories and logs of prompts lie in LM Studio's folder. On a host that was taken over they stay as their owner left them. */
async function closeFolders(host: Host): Promise<void> {
  if ((await readInstalled(host)) === null) return;
  for (const name of ["", ".internal", "server-logs"]) {
    const folder = join(host.paths.lmstudio, name);
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o700);
  }
}

/** What `applySettings` would change. */
export async function pendingSettings(host: Host, backendPort: number): Promise<Change[]> {
  return (await planSettings(host, backendPort)).changes;
}

async function planSettings(host: Host, backendPort: number) {
  const written = (await readJson<Written>(recordPath(host))) ?? {};
  const current = await readJson<{ downloadsFolder?: unknown }>(join(host.paths.lmstudio, settingsFile));
  const known = typeof current?.downloadsFolder === "string" ? current.downloadsFolder : null;
  const ours = written[settingsFile]?.downloadsFolder !== undefined;
  const wanted = wantedSettings(host, backendPort, ours ? null : known);
  const changes: Change[] = [];
  const files: [string, Tree][] = [];
  const record: Record<string, Record<string, { value: Json; prior: Json | undefined }>> = {};
  for (const [file, keys] of Object.entries(wanted)) {
    const tree = (await readJson<Tree>(join(host.paths.lmstudio, file))) ?? {};
    let touched = false;
    record[file] = { ...written[file] };
    for (const [key, value] of Object.entries(keys)) {
      const found = get(tree, key);
      const first = written[file]?.[key];
      record[file][key] = { value, prior: first === undefined ? found : first.prior };
      if (found === value) continue;
      put(tree, key, value);
      touched = true;
      changes.push({
        what: `setting ${file}:${key}`,
        from: found === undefined ? null : String(found),
        to: String(value),
      });
    }
    if (touched) files.push([file, tree]);
  }
  return { changes, files, record };
}

/** Only what lmstack wrote is compared: an adopted host whose daemon was never down has no drift. */
export async function settingsDrift(host: Host): Promise<string[]> {
  const written = (await readJson<Written>(recordPath(host))) ?? {};
  const drift: string[] = [];
  for (const [file, keys] of Object.entries(written)) {
    const tree = (await readJson<Tree>(join(host.paths.lmstudio, file))) ?? {};
    for (const [key, { value }] of Object.entries(keys)) if (get(tree, key) !== value) drift.push(`${file}:${key}`);
  }
  return drift;
}

/** The daemon must be down. Puts back what was there before lmstack; values that somebody changed since stay. */
export async function restoreSettings(host: Host): Promise<void> {
  const written = (await readJson<Written>(recordPath(host))) ?? {};
  for (const [file, keys] of Object.entries(written)) {
    const path = join(host.paths.lmstudio, file);
    const tree = await readJson<Tree>(path);
    if (tree === null) continue;
    for (const [key, { value, prior }] of Object.entries(keys)) {
      if (get(tree, key) === value) put(tree, key, prior);
    }
    await writeJson(path, tree);
  }
}

function recordPath(host: Host): string {
  return join(host.paths.state, "settings.json");
}

function get(tree: Tree, key: string): Json | undefined {
  let node: Json | Tree | undefined = tree;
  for (const part of key.split(".")) {
    if (typeof node !== "object" || node === null) return undefined;
    node = node[part];
  }
  return typeof node === "object" && node !== null ? undefined : node;
}

function put(tree: Tree, key: string, value: Json | undefined): void {
  const parts = key.split(".");
  const last = parts.pop() ?? key;
  let node = tree;
  for (const part of parts) {
    const next = node[part];
    const inner: Tree = typeof next === "object" && next !== null ? next : {};
    node[part] = inner;
    node = inner;
  }
  if (value === undefined) delete node[last];
  else node[last] = value;
}
