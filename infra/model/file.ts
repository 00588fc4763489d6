import type * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { hostCall, type Target } from "../host/call.ts";
import { modelFileDocument } from "../host/documents.ts";
import type { ModelDocument } from "../spec/host-documents.ts";

/** The declared models' files, fetched and verified before anything else on the host is touched: a wrong file stops the run while all is as it was. */
export class ModelFiles extends pulumi.ComponentResource {
  readonly verified: readonly command.local.Command[];

  constructor(name: string, target: Target, after: readonly pulumi.Resource[]) {
    super("lmstack:host:ModelFiles", name, {});
    this.verified = target.survey.documents.models.map((model: Omit<ModelDocument, "token">) =>
      hostCall(target, `model-file-${model.id}`, "model-file", modelFileDocument(model), {
        parent: this,
        dependsOn: [...after],
      }),
    );
    this.registerOutputs({});
  }
}
