/** Where the gateway finds each host, and what of it cannot be: pure. */
import { type Fault, fault } from "../../spec/faults.ts";
import { baseUrl, type HostSpec, isRemote } from "../../spec/host-spec.ts";
import type { GatewaySpec } from "../inventory.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

/** Not by `codex.baseUrl`, which may well be the gateway's own, unless the host is the machine of whoever wrote the inventory. */
export function addressOf({ connection, proxy, ...spec }: HostSpec): Address {
  if (isRemote(connection)) return { host: connection.host, port: proxy.port, tls: false };
  const { protocol, hostname, port } = new URL(baseUrl({ connection, proxy, ...spec }));
  const tls = protocol === "https:";
  return { host: hostname, port: Number(port) || (tls ? 443 : 80), tls };
}

/** What clients put in front of `/responses`. */
export function gatewayUrl({ baseUrl: given, connection, port, tls }: GatewaySpec): string {
  const host = isRemote(connection) ? connection.host : "127.0.0.1";
  const named = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return given ?? `${tls === undefined ? "http" : "https"}://${named}:${port}/v1`;
}

export function* reachFaults(gateway: GatewaySpec, hosts: ReadonlyMap<string, HostSpec>): Iterable<Fault> {
  if (hosts.has(gateway.stack))
    yield fault("gateway.stack", `${gateway.stack}, which is a host's`, "a name of its own", "choose another");
  const machine = machineOf(gateway);
  for (const [name, spec] of hosts) {
    const together = machineOf(spec) === machine;
    const where = `hosts.${name}.spec.proxy`;
    if (together && [gateway.port, gateway.metrics.port].includes(spec.proxy.port))
      yield fault(
        `${where}.port`,
        `${spec.proxy.port}, the gateway's on the same machine`,
        "a free port",
        "change one",
      );
    if (!together && isLoopback(isRemote(spec.connection) ? spec.proxy.bind : addressOf(spec).host)) {
      const next = isRemote(spec.connection) ? "let the proxy listen where the gateway is" : "give codex.baseUrl";
      yield fault(`${where}.bind`, "loopback only", "an address that the gateway reaches", next);
    }
  }
}

const machineOf = ({ connection }: Pick<HostSpec, "connection">): string =>
  isRemote(connection) ? connection.host : "this machine";

const isLoopback = (host: string): boolean => /^(127\.|\[?::1\]?$|localhost$)/.test(host);
