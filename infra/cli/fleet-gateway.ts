/** `lmstack fleet gateway`: the one endpoint in front of all hosts. */
import { relative, resolve } from "node:path";
import { Document } from "yaml";
import type { Inventory } from "../fleet/compose.ts";
import { renderHaproxy } from "../fleet/gateway/haproxy.ts";
import { onMachine } from "../fleet/gateway/machine.ts";
import { RuntimeGateway, type ServerState } from "../fleet/gateway/runtime.ts";
import { sealed, sealOf } from "../fleet/gateway/seal.ts";
import type { GatewaySpec } from "../fleet/inventory.ts";
import { aligned } from "../fleet/plan-lines.ts";
import { CliFault, exitCodes, UsageFault } from "./fault.ts";
import type { FleetOptions } from "./fleet.ts";
import { inventoryAt } from "./fleet-file.ts";
import { progress } from "./progress.ts";
import { askPulumi, projectRoot, stackNames } from "./pulumi.ts";
import { findStack, stackFile, writeStack } from "./stack-file.ts";
import { textOf, yamlOf } from "./stack-yaml.ts";
import { converge } from "./up.ts";

/** By the admin socket on its machine. */
export const runtimeOf = (gateway: GatewaySpec): RuntimeGateway =>
  new RuntimeGateway((verb, commands) => onMachine(gateway, verb, commands));

export async function show({ file, json }: FleetOptions): Promise<void> {
  const { gateway, hosts } = await withGateway(file);
  const text = renderHaproxy(gateway, hosts);
  console.log(json ? JSON.stringify({ "haproxy.cfg": text }) : text.trimEnd());
}

export async function status({ file, json }: FleetOptions): Promise<void> {
  const { gateway } = await withGateway(file);
  const states = await progress("asking the gateway", runtimeOf(gateway).states());
  const away = states.filter(({ status }) => !status.startsWith("UP"));
  if (json) console.log(JSON.stringify({ ok: away.length === 0, servers: states }));
  else for (const line of statusLines(states)) console.log(line);
  if (away.length > 0) process.exitCode = exitCodes.unhealthy;
}

export interface DrainOptions extends FleetOptions {
  readonly seconds: string;
}

export async function drain(host: string, { file, json, seconds }: DrainOptions): Promise<void> {
  const limit = Number(seconds);
  if (!(limit >= 0)) throw new UsageFault(`--seconds: found ${seconds}; expected a number. Next: correct it`);
  const { gateway } = await withGateway(file);
  await progress(`${host} finishes what runs there`, runtimeOf(gateway).drain(host, limit));
  console.error(`${host} gets nothing more from the gateway. Next: \`npx lmstack fleet gateway undrain ${host}\``);
  if (json) console.log(JSON.stringify({ ok: true, host, serves: false }));
}

export async function undrain(host: string, { file, json }: FleetOptions): Promise<void> {
  const { gateway } = await withGateway(file);
  await progress(`the gateway looks at ${host}`, runtimeOf(gateway).undrain(host));
  console.error(`${host} serves again`);
  if (json) console.log(JSON.stringify({ ok: true, host, serves: true }));
}

/** Before hosts change: one that is new in the inventory gets requests only from a gateway that knows it. */
export async function bringUpToDate({ gateway, hosts }: Pick<Inventory, "gateway" | "hosts">): Promise<void> {
  if (gateway === null) return;
  const [state, ...lines] = (await onMachine(gateway, "look")).split("\n");
  const text = lines.join("\n");
  const mark = sealOf(text)?.mark;
  if (state === "active" && mark !== undefined && text === sealed(renderHaproxy(gateway, hosts), mark)) return;
  console.error(`the gateway is not as the inventory says: \`pulumi up\` of ${gateway.stack} first`);
  await converge(gateway.stack, ["--yes", "--skip-preview"], true);
}

/** Its stack, whose file says where the inventory is and nothing more. @returns names of files that were written */
export async function syncGateway({ stack }: GatewaySpec, path: string, folder: string): Promise<string[]> {
  if (!(await stackNames({ folder })).has(stack)) await askPulumi(["stack", "init", "--no-select"], stack, { folder });
  const file = stackFile(stack, folder);
  const before = await findStack(file);
  const document = before === undefined ? new Document({ config: {} }) : yamlOf(before, file.name);
  document.setIn(["config", "lmstack:gateway"], relative(folder, resolve(folder, path)));
  if (textOf(document) === before) return [];
  await writeStack(file, textOf(document));
  return [file.name];
}

async function withGateway(file: string) {
  const { gateway, hosts } = await inventoryAt(file, projectRoot);
  if (gateway === null) throw new CliFault(`${file} has no gateway. Next: write one (docs/fleet.md, 'The gateway')`);
  return { gateway, hosts };
}

const statusLines = (states: readonly ServerState[]): string[] =>
  aligned([
    ["ROUTE", "HOST", "STATE", "RUNNING", "WAITING", "LAST CHECK"],
    ...states.map(({ backend, host, status, running, queued, found }) => [
      ...[backend, host, status],
      ...[String(running), String(queued), found],
    ]),
  ]);
