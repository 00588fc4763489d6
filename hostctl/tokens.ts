import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { ResourceName } from "../infra/spec/host-documents.ts";
import { writeAtomic } from "./atomic-file.ts";
import type { Host } from "./host.ts";

/** The token of the last convergence, stored when it is true. Names are encoded: a model's id may hold slashes. */
export async function storeToken(host: Host, resource: ResourceName, token: string): Promise<void> {
  await writeAtomic(join(host.paths.tokens, encodeURIComponent(resource)), token);
}

export async function dropToken(host: Host, resource: ResourceName): Promise<void> {
  await rm(join(host.paths.tokens, encodeURIComponent(resource)), { force: true });
}
