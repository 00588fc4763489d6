import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { hostCall, type Target } from "../host/call.ts";
import { modelFileDocument } from "../host/documents.ts";
import { shellWord } from "../host/shell.ts";
import type { ModelDocument } from "../spec/host-documents.ts";
import type { Credentials } from "./credentials.ts";
import type { PeerHosts } from "./peer-hosts.ts";

/** What runs instead when other hosts are to share the file meanwhile. */
function sharedBy({ spec }: Target, id: string, peers: PeerHosts): ((way: string) => string) | undefined {
  const stacks = spec.models.find((model) => model.id === id)?.source.peerStacks;
  if (stacks === undefined) return undefined;
  const words = stacks.flatMap((stack) => {
    const peer = peers.get(stack);
    return peer === undefined ? [] : [stack, peer.owner ?? "-", peer.address];
  });
  return (way) => ["../node_modules/.bin/node model/shared-file.ts", way, ...words.map(shellWord)].join(" ");
}

/** The declared models' files, fetched and verified before anything else on the host is touched: a wrong file stops the run while all is as it was. */
export class ModelFiles extends pulumi.ComponentResource {
  readonly verified: readonly command.local.Command[];

  constructor(
    name: string,
    target: Target,
    credentials: Credentials,
    peers: PeerHosts,
    after: readonly pulumi.Resource[],
  ) {
    super("lmstack:host:ModelFiles", name, {});
    this.verified = target.survey.documents.models.map((model: Omit<ModelDocument, "token">) => {
      const credential = credentials.get(model.id);
      const document = { ...modelFileDocument(model), ...(credential === undefined ? {} : { credential }) };
      return hostCall(target, `model-file-${model.id}`, "model-file", document, {
        parent: this,
        dependsOn: [...after],
        secret: credential !== undefined,
        create: sharedBy(target, model.id, peers),
      });
    });
    this.registerOutputs({});
  }
}
