import { join } from "node:path";
import type { ObservedService } from "../../infra/spec/host-documents.ts";
import { readJson, writeJson } from "../atomic-file.ts";
import { sha256 } from "../digest.ts";
import type { Host } from "../host.ts";
import type { ServiceState } from "./service.ts";

type Part = "supervisor" | "proxy";
type Digests = { readonly [part in Part]?: string | null };

/** Digest of each service file as lmstack wrote it: another one on disk is drift. */
export async function recordService(host: Host, part: Part, text: string | null): Promise<void> {
  await writeJson(path(host), { ...(await readJson<Digests>(path(host))), [part]: digestOfText(text) });
}

/** Null for a flavour without a file. */
export function digestOfText(text: string | null): string | null {
  return text === null ? null : sha256(text);
}

export async function forgetService(host: Host, part: Part): Promise<void> {
  const { [part]: _, ...rest } = (await readJson<Digests>(path(host))) ?? {};
  await writeJson(path(host), rest);
}

export async function recordedService(host: Host, part: Part): Promise<string | null> {
  return (await readJson<Digests>(path(host)))?.[part] ?? null;
}

export function observedService(
  { active, enabled, text }: ServiceState,
  expectedSha256: string | null,
): ObservedService {
  return { active, enabled, sha256: digestOfText(text), expectedSha256 };
}

function path(host: Host): string {
  return join(host.paths.state, "services.json");
}
