import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Become } from "../../infra/spec/host-documents.ts";
import { rememberedImage } from "../docker.ts";
import type { Host } from "../host.ts";
import { removeLmstudio } from "./lmstudio.ts";
import { removeModel } from "./model.ts";
import { removeProxyFiles } from "./proxy-files.ts";
import { removeProxyImage } from "./proxy-image.ts";

/**
 * The last removal: everything of lmstack. Whatever is still there goes first, since what was interrupted while it was made is in nobody's
 * state and would never be removed otherwise.
 */
export async function removeRuntime(host: Host, become: Become): Promise<void> {
  await removeProxyFiles(host, become);
  if ((await rememberedImage(host)) !== null) await removeProxyImage(host);
  for (const name of await readdir(join(host.paths.state, "imports")).catch(() => [])) {
    if (!name.startsWith(".")) await removeModel(host, decodeURIComponent(name.replace(/\.json$/, "")));
  }
  await removeLmstudio(host, become);
  await rm(host.paths.root, { recursive: true, force: true });
}
