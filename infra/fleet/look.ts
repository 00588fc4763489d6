/** Looks at every host of a fleet, a few at a time, and changes nothing: what a plan is made from. */
import { Readable } from "node:stream";
import { type Configuration, configurationOf, keysOf, namesSecrets } from "../cli/stack-spec.ts";
import { type Bundles, buildBundles } from "../host/runtime.ts";
import { surveyHost } from "../host/survey.ts";
import { type Keys, keysFingerprint } from "../proxy/keys.ts";
import { askMetrics } from "./ask-metrics.ts";
import type { FleetHost } from "./compose.ts";
import type { Reading } from "./metrics.ts";
import type { Refusal, SeenHost } from "./plan.ts";
import { refusalOf } from "./refusal.ts";
import { seenHost, sitesOf, unseen } from "./seen.ts";

/** Each is an ssh and a `pulumi config`: enough to wait for several, few enough for a small machine. */
const atOnce = 8;

/** @param refusals of hosts that must not be changed, by their name */
export const lookAtFleet = (hosts: readonly FleetHost[], refusals: ReadonlyMap<string, Refusal>): Promise<SeenHost[]> =>
  new FleetLooks(hosts).all(hosts, refusals);

/** Looks again and again: what does not change between two of them is asked for once. */
export class FleetLooks {
  readonly #sites: ReadonlyMap<string, string>;
  readonly #building: Promise<Bundles> = buildBundles();
  readonly #configurations = new Map<string, Promise<Configuration>>();

  constructor(hosts: readonly FleetHost[]) {
    this.#sites = sitesOf(hosts);
  }

  async all(hosts: readonly FleetHost[], refusals: ReadonlyMap<string, Refusal>): Promise<SeenHost[]> {
    const looks = Readable.from(hosts).map((host: FleetHost) => this.at(host, refusals.get(host.name)), {
      concurrency: atOnce,
    });
    return await looks.toArray();
  }

  async at(host: FleetHost, refusal?: Refusal): Promise<SeenHost> {
    const { name, spec } = host;
    try {
      const keys = await this.#keys(host);
      const [survey, reading] = await Promise.all([
        surveyHost(spec, name, keysFingerprint(keys, name), async () => null, this.#building),
        // It may be older, down, or out of reach from here.
        askMetrics(spec, keys).catch(() => null),
      ]);
      return seenHost(host, survey, survey.facts?.observed ?? null, reading, this.#sites, refusal ?? null);
    } catch (error) {
      return unseen(host, refusal ?? refusalOf(name, error));
    }
  }

  /** Null when it cannot be had, for whatever reason. */
  async reading(host: FleetHost): Promise<Reading | null> {
    return await this.#keys(host)
      .then((keys) => askMetrics(host.spec, keys))
      .catch(() => null);
  }

  async #keys({ name, spec }: FleetHost): Promise<Keys> {
    if (!namesSecrets(spec)) return [];
    const asked = this.#configurations.get(name) ?? configurationOf(name);
    this.#configurations.set(name, asked);
    return keysOf(spec, await asked);
  }
}
