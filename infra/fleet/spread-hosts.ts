/** Files spread over the hosts of an inventory, each reached by the ssh of its stack. */
import { fileURLToPath } from "node:url";
import { configurationOf } from "../cli/stack-spec.ts";
import { otherOwner } from "../host/shell.ts";
import { writeSshFiles } from "../host/ssh-files.ts";
import { stackFolder } from "../host/survey.ts";
import { readCredentials } from "../model/credentials.ts";
import { ShareSession } from "../model/share-session.ts";
import { isRemote } from "../spec/host-spec.ts";
import type { FleetHost } from "./compose.ts";
import { filesToSpread } from "./distribution.ts";
import type { Brought } from "./rollout/effects.ts";
import { spreadFiles } from "./spread.ts";

const infraFolder = fileURLToPath(new URL("..", import.meta.url));

/**
 * @param lacking ids of models whose file `up` would fetch, by host; hosts that are not in it are left alone
 * @param tell takes what happens on a host, in words
 */
export async function spreadOverFleet(
  hosts: readonly FleetHost[],
  lacking: ReadonlyMap<string, ReadonlySet<string>>,
  hostBytesPerSecond: number | undefined,
  tell: (host: string, words: string) => void,
): Promise<Brought> {
  const specs = new Map(hosts.map(({ name, spec }) => [name, spec]));
  const specOf = (host: string) => {
    const spec = specs.get(host);
    if (spec === undefined || !isRemote(spec.connection)) throw new Error(`no host behind SSH is named ${host}`);
    return { spec, connection: spec.connection };
  };
  const files = filesToSpread(hosts, lacking);
  const unserved = await spreadFiles(files, hostBytesPerSecond, {
    async open(host, order) {
      const { spec, connection } = specOf(host);
      await writeSshFiles(connection, stackFolder(host));
      const way = { stack: host, owner: otherOwner(spec), address: connection.host };
      return await ShareSession.open(way, order, infraFolder, (line) => tell(host, line));
    },
    async credential(host, model) {
      const configuration = await configurationOf(host);
      return readCredentials(specOf(host).spec, (key) => configuration[`lmstack:${key}`]).credentials.get(model);
    },
    tell,
  });
  const left = new Map(unserved.map(({ host, why }) => [host, why]));
  const without = files.flatMap(({ members }) => members.filter(({ has }) => !has).map(({ host }) => host));
  return { hosts: [...new Set(without)].filter((host) => !left.has(host)), left };
}
