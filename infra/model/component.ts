import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { hostCall, type Target } from "../host/call.ts";

/** The declared models, imported and loaded one after the other in their order: two loads at once would fight for the card's memory. */
export class Models extends pulumi.ComponentResource {
  readonly loaded: readonly command.local.Command[];

  constructor(name: string, target: Target, after: readonly pulumi.Resource[]) {
    super("lmstack:host:Models", name, {});
    const loaded: command.local.Command[] = [];
    for (const model of target.survey.documents.models) {
      const before = loaded.at(-1);
      loaded.push(
        hostCall(target, `model-${model.id}`, "model", model, {
          parent: this,
          dependsOn: before ?? [...after],
        }),
      );
    }
    this.loaded = loaded;
    this.registerOutputs({});
  }
}
