/** `hostctl doctor`: what stands in the way of a host that nobody looks after. Read-only. */
import type { DoctorDocument, DoctorReport } from "../../infra/spec/host-documents.ts";
import type { Host } from "../host.ts";
import { linuxFindings } from "./linux.ts";
import { linuxFacts } from "./linux-facts.ts";
import { macFindings } from "./mac.ts";
import { macFacts } from "./mac-facts.ts";

export async function doctor(host: Host, document: DoctorDocument): Promise<DoctorReport> {
  const findings =
    host.platform === "darwin"
      ? macFindings(await macFacts(host, document.modelPaths), document)
      : linuxFindings(await linuxFacts(host, document.modelPaths), document);
  return { findings };
}
