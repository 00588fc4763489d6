/** A hostctl call as a resource. */
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { ResourceName } from "../spec/host-documents.ts";
import { type HostSpec, isRemote } from "../spec/host-spec.ts";
import { stableJson } from "../spec/stable-json.ts";
import type { Runtime } from "./runtime.ts";
import { otherOwner } from "./shell.ts";
import type { Survey } from "./survey.ts";

/** What components need to make resources on one host. */
export interface Target {
  readonly spec: HostSpec;
  readonly stack: string;
  readonly survey: Survey;
}

export const tokenOf = ({ survey }: Target, name: ResourceName | "proxy-container"): string => {
  const judgement = survey.judgements[name];
  if (!judgement) throw new Error(`nothing was judged about ${name}`);
  return judgement.token;
};

/** The beginning of every line that goes through `on-host.sh`. */
const onHost = (target: Target): string => `sh host/on-host.sh ${wayTo(target)}`;

const wayTo = ({ spec, stack }: Target): string =>
  `${isRemote(spec.connection) ? "ssh" : "local"} ${stack} ${otherOwner(spec) ?? "-"}`;

/**
 * Results are one line on stdout, kept as output; progress is on stderr and shown. The plugin's default logging would hang for good on a line above
 * 64 KiB.
 */
const quiet = { logging: command.local.Logging.Stderr, addPreviousOutputInEnv: false } as const;

/** Resources are never replaced for a changed document: hostctl converges from whatever is there, so create serves as update too. */
export function hostCall(
  target: Target,
  name: ResourceName,
  part: string,
  document: object,
  options: pulumi.CustomResourceOptions & {
    readonly secret?: boolean;
    /** Another program that converges, given the first words of `on-host.sh`. */
    readonly create?: ((way: string) => string) | undefined;
  },
): command.local.Command {
  const { secret, create, ...rest } = options;
  const stdin = pulumi.output(document).apply((resolved) => stableJson({ ...resolved, token: tokenOf(target, name) }));
  return new command.local.Command(
    name,
    {
      create: create?.(wayTo(target)) ?? `${onHost(target)} converge ${part}`,
      delete: `${onHost(target)} remove ${part}`,
      stdin: secret ? pulumi.secret(stdin) : stdin,
      ...quiet,
    },
    rest,
  );
}

/** Proofs leave nothing behind, so there is nothing to delete. */
export function hostProof(
  target: Target,
  document: object,
  options: pulumi.CustomResourceOptions,
): command.local.Command {
  const stdin = stableJson({ ...document, token: tokenOf(target, "proof") });
  return new command.local.Command("proof", { create: `${onHost(target)} prove`, stdin, ...quiet }, options);
}

/** Made first and deleted last: everything else on the host is done by what it brings. */
export function hostRuntime(target: Target, { hash, node }: Runtime): command.local.Command {
  const { stack, spec } = target;
  const stdin = stableJson({ stack, become: spec.connection.become, token: tokenOf(target, "runtime") });
  return new command.local.Command("runtime", {
    create: `${onHost(target)} upload ${hash} ${node} ${tokenOf(target, "runtime")}`,
    delete: `${onHost(target)} remove runtime`,
    stdin,
    ...quiet,
  });
}
