import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Become } from "../../infra/spec/host-documents.ts";
import type { Host } from "../host.ts";
import { removeLmstudio } from "./lmstudio.ts";
import { removeModel } from "./model.ts";
import { removeProxyFiles } from "./proxy-files.ts";
import { forgetGated, removeProxyGate } from "./proxy-gate.ts";
import { removeProxyImage } from "./proxy-image.ts";

/**
 * The last removal: everything of lmstack. Whatever is still there goes first, since what was interrupted while it was made is in nobody's
 * state and would never be removed otherwise.
 */
export async function removeRuntime(host: Host, become: Become, stack: string): Promise<void> {
  // No container of this stack is Pulumi's to remove any more.
  await forgetGated(host);
  await removeProxyGate(host, stack);
  await removeProxyFiles(host, become);
  await removeProxyImage(host);
  for (const name of await readdir(join(host.paths.state, "imports")).catch(() => [])) {
    if (!name.startsWith(".")) await removeModel(host, decodeURIComponent(name.replace(/\.json$/, "")));
  }
  await removeLmstudio(host, become);
  await rm(host.paths.root, { recursive: true, force: true });
}
