/** The keys of a fleet's hosts, for whoever asks their proxies. */
import type { FleetHost } from "../fleet/compose.ts";
import { type Keys, readKeys } from "../proxy/keys.ts";
import { Faults } from "../spec/faults.ts";
import { configurationOf } from "./stack-spec.ts";

/** Each stack is asked by a `pulumi` of its own. */
const pulumisAtOnce = 4;

/** The values of a host's keys, out of its stack; a few stacks at a time. */
export function keyReader(folder: string): (host: FleetHost) => Promise<Keys> {
  const lanes = Array.from({ length: pulumisAtOnce }, (): Promise<unknown> => Promise.resolve());
  let turn = 0;
  return async ({ name, spec }) => {
    if (spec.proxy.keys.length === 0) return [];
    const lane = turn++ % lanes.length;
    const reading = (lanes[lane] as Promise<unknown>).then(() => configurationOf(name, folder));
    lanes[lane] = reading.catch(() => {});
    const configuration = await reading;
    const { keys, faults } = readKeys(spec, (key) => configuration[`lmstack:${key}`]);
    if (faults.length > 0) throw new Faults("secrets are missing:", faults);
    return keys;
  };
}
