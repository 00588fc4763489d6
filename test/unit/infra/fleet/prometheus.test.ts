/** What a Prometheus is told of a fleet. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { gatewaySchema } from "../../../../infra/fleet/inventory.ts";
import { prometheusFiles } from "../../../../infra/fleet/prometheus.ts";
import { parseHostSpec } from "../../../../infra/spec/parse.ts";
import { exampleSpec, hostKey, type Loose } from "../spec/example.ts";

const host = (name: string, address: string, change: (spec: Loose) => void = () => {}) => ({
  ...{ name, labels: {} },
  spec: parseHostSpec(
    exampleSpec((spec) => {
      spec.connection.host = address;
      change(spec);
    }),
  ),
});
const key = (id: string, value: string) => ({ id, value, models: ["*"], admin: false });
const jobs = (files: ReturnType<typeof prometheusFiles>) => {
  const text = (name: string) => files.find((file) => file.name === name)?.text;
  const { scrape_configs } = parse(text("prometheus.yml") ?? "");
  return scrape_configs.map(({ authorization, file_sd_configs, ...rest }: Loose) => ({
    ...rest,
    key: text(authorization?.credentials_file),
    hosts: JSON.parse(text(file_sd_configs[0].files[0]) ?? "").map(({ labels, targets }: Loose) => [
      labels.instance,
      targets[0],
    ]),
  }));
};

it("each host is asked once, with its own key, and no key is anywhere but in a secret file", () => {
  const values = fc.array(fc.constantFrom("key-number-one", "key-number-two", "key-number-three", null));
  fc.assert(
    fc.property(values, (keysOf) => {
      const hosts = keysOf.map((_, index) => host(`box${index}`, `10.0.0.${index + 1}`));
      const keyOf = (name: string) => {
        const value = keysOf[Number(name.slice(3))];
        return value ? [key("team-a", value)] : [];
      };
      const files = prometheusFiles(hosts, keyOf, null, "fleet.yaml");
      const asked = jobs(files).flatMap(({ key, hosts, relabel_configs }: Loose) => {
        expect(relabel_configs).toEqual([{ target_label: "job", replacement: "lmstack" }]);
        return hosts.map(([name]: [string]) => [name, key ?? null]);
      });
      expect(Object.fromEntries(asked)).toEqual(Object.fromEntries(hosts.map(({ name }, i) => [name, keysOf[i]])));
      expect(asked).toHaveLength(hosts.length);
      for (const { text, secret } of files) if (!secret) expect(text).not.toContain("key-number");
    }),
  );
});

it("a key that is called prometheus is taken before those of people", () => {
  const keys = [key("team-a", "key-of-people"), { ...key("prometheus", "key-of-prometheus"), expires: "2030-01-01" }];
  expect(jobs(prometheusFiles([host("a", "10.0.0.1")], () => keys, null, "fleet.yaml"))).toMatchObject([
    { key: "key-of-prometheus", scheme: "http", hosts: [["a", "10.0.0.1:8080"]] },
  ]);
});

it("a host behind TLS is asked so, by the port that its address means", () => {
  const safe = host("safe", "10.0.0.1", (spec) => {
    spec.proxy.bind = "127.0.0.1";
    spec.codex = { baseUrl: "https://box.example/v1" };
  });
  expect(jobs(prometheusFiles([safe, host("b", "10.0.0.2")], () => [], null, "fleet.yaml"))).toMatchObject([
    { scheme: "https", hosts: [["safe", "box.example:443"]] },
    { scheme: "http", hosts: [["b", "10.0.0.2:8080"]] },
  ]);
});

it("each host is asked itself, although clients are sent to the gateway", () => {
  const behind = (name: string, address: string) =>
    host(name, address, (spec) => {
      spec.codex = { baseUrl: "http://gateway:8080/v1" };
    });
  const hosts = [behind("a", "10.0.0.1"), behind("b", "10.0.0.2")];
  expect(jobs(prometheusFiles(hosts, () => [], null, "fleet.yaml"))).toMatchObject([
    {
      hosts: [
        ["a", "10.0.0.1:8080"],
        ["b", "10.0.0.2:8080"],
      ],
    },
  ]);
});

it("the gateway is asked for its own figures, where the inventory says that they are", () => {
  const given = { connection: { host: "fd00::1", user: "gw", hostKey }, metrics: { bind: "::", port: 9404 } };
  const files = prometheusFiles([host("a", "10.0.0.1")], () => [], gatewaySchema.parse(given), "fleet.yaml");
  const { scrape_configs } = parse(files.find(({ name }) => name === "prometheus.yml")?.text ?? "");
  expect(scrape_configs.at(-1)).toEqual({
    job_name: "lmstack-gateway",
    static_configs: [{ targets: ["[fd00::1]:9404"], labels: { instance: "gateway" } }],
  });
});

it("two hosts with one address are refused: each would be taken for the other", () => {
  const hosts = [host("a", "10.0.0.1"), host("b", "10.0.0.1")];
  expect(() => prometheusFiles(hosts, () => [], null, "fleet.yaml")).toThrow(
    /nothing was written:[\s\S]*hosts\.b\.spec\.proxy: found 10\.0\.0\.1:8080, as hosts\.a/,
  );
});
