/** Hosts of other stacks of this project, which share a model's file for the time of a download. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { z } from "zod";
import { otherOwner } from "../host/shell.ts";
import { writeSshFiles } from "../host/ssh-files.ts";
import { stackFolder } from "../host/survey.ts";
import { type Fault, fault } from "../spec/faults.ts";
import { type HostSpec, isRemote, type RemoteConnection, sections } from "../spec/host-spec.ts";

export interface PeerHost {
  readonly stack: string;
  /** Under which the other hosts reach it. */
  readonly address: string;
  /** Of LM Studio there, where that is not the user who connects. */
  readonly owner: string | undefined;
  readonly connection: RemoteConnection;
}

export type PeerHosts = ReadonlyMap<string, PeerHost>;

const projectRoot = fileURLToPath(new URL("../../", import.meta.url));
const stackFile = z.looseObject({
  config: z.looseObject({
    "lmstack:host": z.looseObject({
      connection: sections.connection,
      lmstudio: z.looseObject({ user: z.string().optional() }).optional(),
    }),
  }),
});

/** From the stacks' own files. */
export function readPeerHosts({ models }: HostSpec, folder = projectRoot): { peers: PeerHosts; faults: Fault[] } {
  const peers = new Map<string, PeerHost>();
  const faults: Fault[] = [];
  for (const [index, { source }] of models.entries()) {
    for (const stack of source.peerStacks ?? []) {
      const found = readPeer(stack, folder);
      if (typeof found !== "string") peers.set(stack, found);
      else {
        const next = "name a stack of this project whose host has the file, or remove it";
        faults.push(
          fault(`models[${index}].source.peerStacks (${stack})`, found, "a stack with a host behind SSH", next),
        );
      }
    }
  }
  return { peers, faults };
}

/** Their ssh configurations, as each stack's own `up` writes them. */
export async function prepareWays(peers: PeerHosts): Promise<void> {
  for (const { stack, connection } of peers.values()) {
    mkdirSync(stackFolder(stack), { recursive: true, mode: 0o700 });
    await writeSshFiles(connection, stackFolder(stack));
  }
}

function readPeer(stack: string, folder: string): PeerHost | string {
  const name = `Pulumi.${stack}.yaml`;
  let content: unknown;
  try {
    content = parse(readFileSync(join(folder, name), "utf8"));
  } catch {
    return `no ${name} that can be read`;
  }
  const parsed = stackFile.safeParse(content);
  if (!parsed.success) return `no host in ${name}`;
  const { connection, lmstudio } = parsed.data.config["lmstack:host"];
  if (!isRemote(connection)) return `this machine, in ${name}`;
  const owner = otherOwner({ connection, lmstudio: { user: lmstudio?.user ?? connection.user } });
  return { stack, address: connection.host, owner, connection };
}
