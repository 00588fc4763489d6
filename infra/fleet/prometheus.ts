/** What a Prometheus needs to watch a fleet: whom to ask, with which keys, and on how many hosts each model is declared. Pure. */
import { stringify } from "yaml";
import { type Key, type Keys, ownKey } from "../proxy/keys.ts";
import { Faults, fault } from "../spec/faults.ts";
import { isRemote } from "../spec/host-spec.ts";
import { metricsUrl } from "./ask-metrics.ts";
import type { FleetHost } from "./compose.ts";
import { bound } from "./gateway/haproxy.ts";
import type { GatewaySpec } from "./inventory.ts";

export interface WrittenFile {
  /** Within the folder. */
  readonly name: string;
  readonly text: string;
  /** A key is in it. */
  readonly secret: boolean;
}

type Watched = Pick<FleetHost, "name" | "labels" | "spec">;

/** Rules look for these, whatever a scrape configuration is called. */
const job = "lmstack";
const gatewayJob = "lmstack-gateway";

/** @throws Faults where two hosts have one address: each would be taken for the other */
export function prometheusFiles(
  hosts: readonly Watched[],
  keysOf: (host: string) => Keys,
  gateway: GatewaySpec | null,
  inventory: string,
): WrittenFile[] {
  const shared = Map.groupBy(hosts, ({ spec }) => metricsUrl(spec).host);
  const faults = [...shared].flatMap(([address, [first, ...others]]) =>
    others.map(({ name }) =>
      fault(
        `hosts.${name}.spec.proxy`,
        `${address}, as hosts.${first?.name}`,
        "an address of its own",
        "give each a port of its own, or leave out a codex.baseUrl that both have",
      ),
    ),
  );
  if (faults.length > 0) throw new Faults("hosts cannot be told apart, nothing was written:", faults);

  const scraped = hosts.map((host) => ({ host, key: scrapeKey(keysOf(host.name)), url: metricsUrl(host.spec) }));
  // One configuration has one key, so hosts with the same one share it. What a key is must not show in a name.
  const groups = [...Map.groupBy(scraped, ({ key, url }) => `${url.protocol} ${key?.value ?? ""}`).values()];
  const named = groups.map((members, index) => ({ members, name: index === 0 ? job : `${job}-${index + 1}` }));
  const written = `# Written by \`lmstack fleet prometheus\` from ${inventory}, and written again by it.\n`;
  const configuration = {
    global: { scrape_interval: "15s", evaluation_interval: "15s" },
    rule_files: ["rules/*.yaml"],
    scrape_configs: [
      ...named.map(({ members: [first], name }) => ({
        job_name: name,
        scheme: first?.url.protocol.replace(":", ""),
        ...(first?.key ? { authorization: { type: "Bearer", credentials_file: `keys/${name}` } } : {}),
        file_sd_configs: [{ files: [`targets/${name}.json`] }],
        relabel_configs: [{ target_label: "job", replacement: job }],
      })),
      ...(gateway ? [{ job_name: gatewayJob, static_configs: [gatewayTarget(gateway)] }] : []),
    ],
  };
  return [
    { name: "prometheus.yml", text: written + stringify(configuration), secret: false },
    { name: "rules/declared.yaml", text: written + stringify(declaredRules(hosts)), secret: false },
    ...named.flatMap(({ members, name }) => {
      const targets = members.map(({ host, url }) => ({
        targets: [url.port === "" ? `${url.host}:${url.protocol === "https:" ? 443 : 80}` : url.host],
        labels: targetLabels(host),
      }));
      const key = members[0]?.key;
      return [
        { name: `targets/${name}.json`, text: `${JSON.stringify(targets, null, 2)}\n`, secret: false },
        ...(key ? [{ name: `keys/${name}`, text: key.value, secret: true }] : []),
      ];
    }),
  ];
}

/** One that was made for it, else the stack's own. */
const scrapeKey = (keys: Keys): Key | undefined => keys.find(({ id }) => id === "prometheus") ?? ownKey(keys);

/** The inventory's labels under names of their own, so that none stands in for what Prometheus or the proxy says. */
const targetLabels = ({ name, labels, spec }: Watched): Record<string, string> => ({
  ...{ instance: name, platform: spec.platform },
  ...Object.fromEntries(
    Object.entries(labels).map(([label, value]) => [`label_${label.replaceAll(/\W/g, "_")}`, value]),
  ),
});

const gatewayTarget = ({ stack, connection, metrics }: GatewaySpec): object => ({
  targets: [bound(isRemote(connection) ? connection.host : "127.0.0.1", metrics.port)],
  labels: { instance: stack },
});

/** A model that no host answers for leaves no series behind, so what should be there is said here. */
function declaredRules(hosts: readonly Watched[]): object {
  const declared = Map.groupBy(
    hosts.flatMap(({ spec }) => spec.models),
    ({ id }) => id,
  );
  const rules = [...declared].map(([model, entries]) => ({
    record: "lmstack_declared_hosts",
    expr: `vector(${entries.length})`,
    labels: { model },
  }));
  return { groups: [{ name: "lmstack-declared", rules }] };
}
