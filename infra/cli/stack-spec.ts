/** A stack as the verbs that look at its host need it: the checked spec and the values of its keys. */
import { readCredentials } from "../model/credentials.ts";
import { type Keys, type Lookup, readKeys } from "../proxy/keys.ts";
import { Faults } from "../spec/faults.ts";
import type { HostSpec } from "../spec/host-spec.ts";
import { parseHostSpec } from "../spec/parse.ts";
import { askPulumi, projectRoot } from "./pulumi.ts";
import { stackOf } from "./stack-file.ts";

export interface StackSpec {
  readonly stack: string;
  readonly spec: HostSpec;
  readonly keys: Keys;
}

export type Configuration = Readonly<
  Record<string, { readonly value: string; readonly secret: boolean; readonly objectValue?: unknown } | undefined>
>;

/** @throws Faults, CliFault */
export async function specOfStack(given: string | undefined): Promise<StackSpec> {
  const { stack } = await stackOf(given);
  const configuration = await configurationOf(stack);
  const spec = parseHostSpec(configuration["lmstack:host"]?.objectValue);
  return { stack, spec, keys: keysOf(spec, configuration) };
}

export async function configurationOf(stack: string, folder: string = projectRoot): Promise<Configuration> {
  return JSON.parse(await askPulumi(["config", "--json", "--show-secrets"], stack, { folder })) as Configuration;
}

/** Where it names none, nobody has to be asked for their values. */
export const namesSecrets = ({ proxy, models }: HostSpec): boolean =>
  proxy.keys.length > 0 || models.some(({ source }) => source.secret !== undefined);

/** @throws Faults for every secret that is missing, those of models' sources too */
export function keysOf(spec: HostSpec, configuration: Configuration): Keys {
  const lookup: Lookup = (key) => configuration[`lmstack:${key}`];
  const { keys, faults: ofKeys } = readKeys(spec, lookup);
  const faults = [...ofKeys, ...readCredentials(spec, lookup).faults];
  if (faults.length > 0) throw new Faults("secrets are missing:", faults);
  return keys;
}
