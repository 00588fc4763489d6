/** The stack of a fleet's gateway: HAProxy on one machine, and Codex's files for the endpoint that it makes of all hosts. */
import { randomUUID } from "node:crypto";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { inventoryAt } from "../../cli/fleet-file.ts";
import { projectRoot } from "../../cli/pulumi.ts";
import { type Artifact, codexArtifacts, profileName } from "../../codex/artifacts.ts";
import { writeArtifacts } from "../../codex/write.ts";
import { type Lookup, ownKey, readKeys } from "../../proxy/keys.ts";
import { Faults, fault } from "../../spec/faults.ts";
import type { HostSpec } from "../../spec/host-spec.ts";
import { stableJson } from "../../spec/stable-json.ts";
import type { FleetHost } from "../compose.ts";
import type { GatewaySpec } from "../inventory.ts";
import { renderHaproxy } from "./haproxy.ts";
import { type GatewayDocument, onMachine } from "./machine.ts";
import { modelsOf } from "./model-list.ts";
import { gatewayUrl } from "./reach.ts";
import { sealed, sealOf } from "./seal.ts";

/**
 * @param path of the inventory, from the project's folder
 * @throws Faults
 */
export async function deployGateway(path: string, stack: string, lookup: Lookup): Promise<pulumi.Inputs> {
  const { gateway, hosts } = await inventoryAt(path, projectRoot);
  if (gateway === null || hosts.length === 0) {
    const found = gateway === null ? "no gateway" : "no host";
    throw new Faults(`${path} makes no gateway, nothing was touched:`, [
      fault(path, found, "a gateway and hosts behind it", "write them, or `pulumi destroy` this stack"),
    ]);
  }
  const artifacts = gatewayArtifacts(gateway, hosts, stack, lookup);

  const [state, ...lines] = (await onMachine(gateway, "look")).split("\n");
  const seal = sealOf(lines.join("\n"));
  if (seal !== null && state !== "active") pulumi.log.warn("gateway: HAProxy does not run; `pulumi up` starts it");
  else if (seal?.intact === false)
    pulumi.log.warn("gateway: haproxy.cfg or its cut-streams.lua was edited by hand; `pulumi up` writes it again");
  // A new mark in what was written is what makes Pulumi write it again.
  const mark = state === "active" && seal?.intact ? seal.mark : randomUUID().slice(0, 8);
  const document: GatewayDocument = {
    connection: gateway.connection,
    stack: gateway.stack,
    configuration: sealed(renderHaproxy(gateway, hosts), mark),
  };
  const haproxy = new command.local.Command("gateway", {
    create: "../node_modules/.bin/node fleet/gateway/machine.ts put",
    delete: "../node_modules/.bin/node fleet/gateway/machine.ts remove",
    stdin: stableJson(document),
    logging: command.local.Logging.Stderr,
    addPreviousOutputInEnv: false,
  });
  haproxy.stdout.apply(() => pulumi.runtime.isDryRun() || writeArtifacts(artifacts, stack));
  return {
    endpoint: gatewayUrl(gateway),
    hosts: hosts.map(({ name }) => name),
    codex: pulumi.secret(Object.fromEntries(artifacts.map(({ name, content, mode }) => [name, { mode, content }]))),
  };
}

/** Codex's files as for one host that serves what all do. @throws Faults when a key is needed and there is none that every host knows */
export function gatewayArtifacts(
  gateway: GatewaySpec,
  hosts: readonly FleetHost[],
  stack: string,
  lookup: Lookup,
): Artifact[] {
  const [first] = hosts as readonly [FleetHost, ...FleetHost[]];
  const specs = hosts.map(({ spec }) => spec);
  const shared = first.spec.proxy.keys.filter(({ id }) =>
    specs.every(({ proxy }) => proxy.keys.some((other) => other.id === id)),
  );
  if (shared.length === 0 && specs.some(({ proxy }) => !proxy.allowAnonymous && proxy.keys.length > 0))
    throw new Faults("no client could use the gateway, nothing was touched:", [
      fault(
        "hosts",
        "no key that all of them name",
        "one key in proxy.keys of every host",
        "name it in a profile of all",
      ),
    ]);
  const asked = ownKey(shared.map((entry) => ({ ...entry, value: "" })));
  const proxy = { ...first.spec.proxy, keys: first.spec.proxy.keys.filter(({ id }) => id === asked?.id) };
  const one: HostSpec = {
    ...first.spec,
    proxy: { ...proxy, search: specs.every((spec) => spec.proxy.search) ? proxy.search : undefined },
    codex: { ...first.spec.codex, baseUrl: gatewayUrl(gateway) },
    models: modelsOf(specs),
  };
  const { keys, faults } = readKeys(one, lookup);
  if (faults.length > 0) throw new Faults("Codex's key for the gateway is missing, nothing was touched:", faults);
  return codexArtifacts(one, keys[0]?.value, profileName(stack));
}
