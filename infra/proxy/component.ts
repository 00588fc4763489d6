import type * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { hostCall, type Target, tokenOf } from "../host/call.ts";
import { containerLayout, dockerLabels, hostLayout } from "../spec/host-layout.ts";
import { isRemote } from "../spec/host-spec.ts";
import { type Keys, keyDigests } from "./keys.ts";

/** Seconds that a new proxy may take to become healthy. */
const healthySeconds = 30;
/** Longer than the proxy's own drain, so that Docker never cuts an answer that the proxy still waits for. */
const graceSeconds = 615;

/** The no-think proxy: a container beside LM Studio, or a service of the host where no Docker is. */
export class NoThinkProxy extends pulumi.ComponentResource {
  /** The last step: once it is there, the endpoint serves. */
  readonly serving: command.local.Command;

  constructor(name: string, target: Target, keys: Keys, after: readonly pulumi.Resource[]) {
    super("lmstack:host:NoThinkProxy", name, {});
    const { documents } = target.survey;
    const { stack, become } = documents.lmstudio;
    const files = hostCall(
      target,
      "proxy-files",
      "proxy-files",
      { stack, become, runtime: documents.runtime, config: documents.proxyConfig, keys: keyDigests(keys) },
      { parent: this, dependsOn: [...after], secret: true },
    );
    this.serving = documents.runtime === "native" ? files : this.container(target, files);
    this.registerOutputs({});
  }

  private container(target: Target, files: command.local.Command): command.local.Command {
    const { spec, survey } = target;
    const { stack, become } = survey.documents.lmstudio;
    const { imageHash } = survey.runtime;
    const reference = spec.proxy.image;
    const image = hostCall(
      target,
      "proxy-image",
      "proxy-image",
      { stack, become, contentHash: imageHash, ...(reference ? { reference } : {}) },
      { parent: this, dependsOn: files },
    );
    const container = new docker.Container(
      "lmstack-proxy",
      {
        // By its content's name, not by the built id: so preview knows it before anything is built.
        image: reference ?? `lmstack-proxy:${imageHash.slice(0, 12)}`,
        labels: Object.entries({
          [dockerLabels.stack]: stack,
          [dockerLabels.role]: "proxy",
          [dockerLabels.token]: tokenOf(target, "proxy-container"),
        }).map(([label, value]) => ({ label, value })),
        // LM Studio listens on loopback only.
        networkMode: "host",
        ...(spec.platform === "linux-cuda" ? { gpus: "all", envs: ["NVIDIA_DRIVER_CAPABILITIES=utility"] } : {}),
        user: `${survey.known.uid}:${survey.known.gid}`,
        readOnly: true,
        securityOpts: ["no-new-privileges"],
        capabilities: { drops: ["ALL"] },
        mounts: [{ type: "bind", source: `${survey.known.home}/${hostLayout.proxy}`, target: containerLayout.shared }],
        tmpfs: { "/tmp": "rw,nosuid,nodev,noexec,size=16m" },
        restart: "unless-stopped",
        logDriver: "json-file",
        logOpts: { "max-size": "10m", "max-file": "3" },
        destroyGraceSeconds: graceSeconds,
        // Health is the gate's business: a container that Docker waited for in vain would stay, and the next run would not look again.
        wait: false,
        mustRun: false,
      },
      // The old one serves until the gate has let the new one through; Pulumi deletes last.
      {
        parent: this,
        provider: dockerOn(target, this),
        dependsOn: image,
        deleteBeforeReplace: false,
      },
    );
    return hostCall(
      target,
      "proxy-gate",
      "proxy-gate",
      { stack, become, containerId: container.id, healthySeconds },
      { parent: this },
    );
  }
}

/** Docker on the host itself, through the same ssh as everything else; the path is as the plugin sees it, from the folder `infra`. */
function dockerOn({ spec, stack }: Target, parent: pulumi.Resource): docker.Provider {
  const overSsh = { host: "ssh://lmstack", sshOpts: ["-F", `../.lmstack/${stack}/ssh_config`] };
  return new docker.Provider("docker", isRemote(spec.connection) ? overSsh : {}, { parent });
}
