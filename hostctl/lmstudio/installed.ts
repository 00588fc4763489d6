/** What lmstack installed of LM Studio, and the upgrade that is under way: one file, so that each step of an upgrade is there or is not. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { LmstudioDocument } from "../../infra/spec/host-documents.ts";
import { readJson, writeJson } from "../atomic-file.ts";
import type { Host } from "../host.ts";
import type { Engine } from "./lms.ts";

/** A version that is being tried beside the one that served until now. */
export interface Trial {
  readonly from: string;
  readonly to: string;
  /** While it is switched the supervisor keeps its hands off; while it is proved the supervisor works as always. */
  readonly phase: "switching" | "proving" | "returning";
  /** What was declared until now. */
  readonly before: LmstudioDocument;
}

export interface Installed {
  /** Written before a version's first file, so that an interrupted install is never taken for somebody else's. */
  readonly versions: readonly { readonly version: string; readonly sha512: string }[];
  /** Proved last. A failed upgrade returns to it, and it stays when the next one comes. */
  readonly good: string | null;
  readonly trial: Trial | null;
  /** Chosen here for a version, where the spec names none. */
  readonly engine?: Engine & { readonly of: string };
  /** Names that were in LM Studio's folder before; null when there was no such folder. */
  readonly found: readonly string[] | null;
  /** LM Studio's pointer to its folder did not exist before. */
  readonly createdPointer: boolean;
}

export async function readInstalled(host: Host): Promise<Installed | null> {
  return await readJson<Installed>(path(host));
}

/** No effect where lmstack installed nothing. */
export async function changeInstalled(host: Host, change: (installed: Installed) => Partial<Installed>): Promise<void> {
  const installed = await readInstalled(host);
  if (installed !== null) await writeInstalled(host, { ...installed, ...change(installed) });
}

export async function writeInstalled(host: Host, installed: Installed): Promise<void> {
  await writeJson(path(host), installed);
}

export async function forgetInstalled(host: Host): Promise<void> {
  await rm(path(host), { force: true });
}

function path(host: Host): string {
  return join(host.paths.state, "installed.json");
}
