import { rm } from "node:fs/promises";
import type { Become } from "../../infra/spec/host-documents.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { proxyService, supervisorService } from "../service/service.ts";

/** The last removal: everything of lmstack. Refused while a service still runs from there. */
export async function removeRuntime(host: Host, become: Become): Promise<void> {
  for (const service of [supervisorService(host, become), proxyService(host, become, 10)]) {
    const state = await service.state();
    if (state.active || state.text !== null) {
      throw new HostFailure(
        "busy",
        "a service of lmstack still exists on this host, so its runtime was left in place",
        "remove lmstudio and proxy-files first",
      );
    }
  }
  await rm(host.paths.root, { recursive: true, force: true });
}
