/** Looks at every host of a fleet, a few at a time, and changes nothing: what a plan is made from. */
import { Readable } from "node:stream";
import { configurationOf, keysOf } from "../cli/stack-spec.ts";
import { type Bundles, buildBundles } from "../host/runtime.ts";
import { surveyHost } from "../host/survey.ts";
import { keysFingerprint } from "../proxy/keys.ts";
import type { FleetHost } from "./compose.ts";
import { askMetrics, busyOf } from "./metrics.ts";
import type { Refusal, SeenHost } from "./plan.ts";
import { refusalOf } from "./refusal.ts";
import { seenHost, sitesOf, unseen } from "./seen.ts";

/** Each is an ssh and a `pulumi config`: enough to wait for several, few enough for a small machine. */
const atOnce = 8;

/** @param refusals of hosts that must not be changed, by their name */
export async function lookAtFleet(
  hosts: readonly FleetHost[],
  refusals: ReadonlyMap<string, Refusal>,
): Promise<SeenHost[]> {
  const sites = sitesOf(hosts);
  const building = buildBundles();
  const looks = Readable.from(hosts).map((host: FleetHost) => lookAt(host, refusals.get(host.name), sites, building), {
    concurrency: atOnce,
  });
  return await looks.toArray();
}

async function lookAt(
  host: FleetHost,
  refusal: Refusal | undefined,
  sites: ReadonlyMap<string, string>,
  building: Promise<Bundles>,
): Promise<SeenHost> {
  const { name, spec } = host;
  try {
    const keys = keysOf(spec, await configurationOf(name));
    const [survey, busy] = await Promise.all([
      surveyHost(spec, name, keysFingerprint(keys, name), async () => null, building),
      // It may be older, down, or out of reach from here.
      askMetrics(spec, keys).then(busyOf, () => null),
    ]);
    return seenHost(host, survey, survey.facts?.observed ?? null, busy, sites, refusal ?? null);
  } catch (error) {
    return unseen(host, refusal ?? refusalOf(name, error));
  }
}
