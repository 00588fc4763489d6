import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { hostCall, type Target } from "../host/call.ts";

/** LM Studio on a host: the pinned release, its engine, its settings, and the service that supervises it. */
export class LmStudio extends pulumi.ComponentResource {
  readonly converged: command.local.Command;

  constructor(name: string, target: Target, after: readonly pulumi.Resource[]) {
    super("lmstack:host:LmStudio", name, {});
    this.converged = hostCall(target, "lmstudio", "lmstudio", target.survey.documents.lmstudio, {
      parent: this,
      dependsOn: [...after],
    });
    this.registerOutputs({});
  }
}
