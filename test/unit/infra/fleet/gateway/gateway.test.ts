/** The gateway as the inventory declares it: what cannot be is told at its line, and what is rendered is the same bytes each time. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { readFleet } from "../../../../../infra/fleet/compose.ts";
import { gatewayArtifacts } from "../../../../../infra/fleet/gateway/component.ts";
import { renderHaproxy } from "../../../../../infra/fleet/gateway/haproxy.ts";
import { gatewayUrl } from "../../../../../infra/fleet/gateway/reach.ts";
import { RuntimeGateway, statesIn } from "../../../../../infra/fleet/gateway/runtime.ts";
import { sealed, sealOf } from "../../../../../infra/fleet/gateway/seal.ts";
import { Faults } from "../../../../../infra/spec/faults.ts";
import { hostKey, type Loose } from "../../spec/example.ts";

const host = (address: string, change: (spec: Loose) => void = () => {}): Loose => {
  const spec = {
    platform: "linux-cuda",
    connection: { host: address, user: "gpu", hostKey },
    models: [{ id: "coder", source: { path: "/models/coder.gguf" } }],
    proxy: { keys: ["team-a"] },
  };
  change(spec);
  return { spec };
};

const connection = { host: "10.0.0.9", user: "ops", hostKey };
const inventory = (hosts: Loose, gateway: Loose = {}) =>
  readFleet(stringify({ hosts, gateway: { connection, ...gateway } }), "fleet.yaml");
const rendered = (hosts: Loose, gateway: Loose = {}): string => {
  const { gateway: spec, hosts: all } = inventory(hosts, gateway);
  return renderHaproxy(spec as NonNullable<typeof spec>, all);
};
const two = { box1: host("10.0.0.1"), box2: host("10.0.0.2") };

const faultsIn = (hosts: Loose, gateway: Loose = {}): string => {
  try {
    inventory(hosts, gateway);
  } catch (error) {
    if (error instanceof Faults) return error.message;
    throw error;
  }
  return "";
};

describe("an inventory", () => {
  test("is refused where the gateway could not reach a host, or would take its port or its stack's name", () => {
    const onLoopback = host("10.0.0.1", (spec) => {
      spec.proxy.bind = "127.0.0.1";
    });
    expect(faultsIn({ box1: onLoopback })).toMatch(/hosts\.box1\.spec\.proxy.*found loopback only/);
    expect(faultsIn({ box1: onLoopback }, { connection: { ...connection, host: "10.0.0.1" }, port: 80 })).toBe("");
    expect(faultsIn({ box1: host("10.0.0.9") })).toMatch(/box1.*found 8080, the gateway's on the same machine/);
    expect(faultsIn({ box1: host("10.0.0.9") }, { port: 8000 })).toBe("");
    expect(faultsIn(two, { stack: "box2" })).toMatch(/gateway\.stack.*box2, which is a host's/);
    const local = host("", (spec) => {
      spec.connection = { local: true };
    });
    expect(faultsIn({ box1: local })).toMatch(/codex\.baseUrl/);
    local.spec.codex = { baseUrl: "https://me.example/v1" };
    expect(rendered({ box1: local })).toContain("server box1 me.example:443 ssl verify required");
  });

  test("says the gateway's faults with all others", () => {
    const faults = faultsIn({ box1: host("10.0.0.1"), box2: {} }, { prot: 80, tls: "cert.pem" });
    expect(faults).toMatch(/gateway\.prot.*did you mean port/);
    expect(faults).toMatch(/gateway\.tls.*an absolute path/);
    expect(faults).toMatch(/box2/);
  });
});

describe("the configuration", () => {
  test("routes each model to those who declare it, asks whether it is loaded, and knows no time limit of an answer", () => {
    const small = host("10.0.0.2", (spec) => spec.models.push({ id: "small", source: { path: "/models/s.gguf" } }));
    const text = rendered({ box1: host("10.0.0.1"), box2: small }, { tls: "/etc/ssl/lm.pem", port: 443 });
    const section = (name: string) => text.split("\n\n").find((one) => one.startsWith(`backend ${name}\n`)) ?? "";
    expect(section("model:coder").match(/^ {2}server \S+ \S+/gm)).toEqual([
      "  server box1 10.0.0.1:8080",
      "  server box2 10.0.0.2:8080",
    ]);
    expect(section("model:small")).not.toContain("box1");
    expect(section("model:small")).toContain('expect string "\\"small\\":\\"loaded\\""');
    expect(text).toContain('bind 0.0.0.0:443 ssl crt "/etc/ssl/lm.pem" alpn h2,http/1.1');
    expect(text).toMatch(/timeout server 24d/);
    // A mixed fleet must not guess; where all are alike every host is right.
    expect(text).toContain("model_not_found_in_body");
    expect(rendered(two)).not.toContain("model_not_found_in_body");
  });

  test("leaves the list of models to the host asked, where all are alike, where a key may not use all, or where it is too long", () => {
    const unlike = (keys: unknown[], models = 1) =>
      rendered({
        box1: host("10.0.0.1"),
        box2: host("10.0.0.2", (spec) => {
          const one = (_: unknown, index: number) => ({
            id: `small-${index}`,
            source: { path: `/models/${index}.gguf` },
          });
          Object.assign(spec, { models: Array.from({ length: models }, one), proxy: { keys } });
        }),
      });
    expect(unlike(["team-a"])).toContain("http-response return");
    for (const text of [rendered(two), unlike([{ id: "team-a", models: ["small-0"] }]), unlike(["team-a"], 60)])
      expect(text).not.toContain("http-response return");
  });

  test("is the same bytes for the same inventory, and no secret or path of a person's machine is in it", () => {
    expect(rendered(two)).toBe(rendered(two));
    expect(rendered(two)).not.toMatch(/team-a|\/home|\/root/);
  });

  test("is known again by its seal, whatever mark it has, and every edit breaks it", () => {
    const text = rendered(two);
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9a-f]{1,8}$/), fc.nat(text.length), (mark, at) => {
        const whole = sealed(text, mark);
        expect(sealOf(whole)).toEqual({ mark, intact: true });
        expect(sealOf(`${whole.slice(0, at)}#${whole.slice(at)}`)).not.toMatchObject({ mark, intact: true });
      }),
    );
    expect(sealOf("")).toBeNull();
    expect(sealOf(text)?.intact).toBe(false);
  });
});

describe("Codex's files", () => {
  const secrets = { "secret.team-a": { value: "sk-planted-1", secret: true } };
  const files = (hosts: Loose, lookup: Readonly<Record<string, { value: string; secret: boolean }>> = secrets) => {
    const { gateway, hosts: all } = inventory(hosts);
    const made = gatewayArtifacts(gateway as NonNullable<typeof gateway>, all, "front", (name) => lookup[name]);
    return Object.fromEntries(made.map(({ name, content }) => [name, content]));
  };

  test("are for the gateway's address, with every model of the fleet and the smallest window that a host has", () => {
    const less = host("10.0.0.2", (spec) => {
      spec.models[0].load = { contextLength: 32_768 };
      spec.models.push({ id: "small", source: { path: "/models/s.gguf" } });
    });
    const made = files({ box1: host("10.0.0.1"), box2: less });
    expect(made["front.config.toml"]).toContain('base_url = "http://10.0.0.9:8080/v1"');
    const { models } = JSON.parse(made["front.catalog.json"] as string);
    const windows = models.map(({ slug, context_window }: Loose) => [slug, context_window]);
    expect(windows).toContainEqual(["coder", 32_768]);
    expect(windows.map(([slug]: [string]) => slug)).toContain("small");
    expect(made["front.env"]).toContain("sk-planted-1");
  });

  test("want a key that every host knows, and its value", () => {
    const other = host("10.0.0.2", (spec) => {
      spec.proxy.keys = ["team-b"];
    });
    expect(() => files({ box1: host("10.0.0.1"), box2: other })).toThrow(/no key that all of them name/);
    expect(() => files(two, {})).toThrow(/lmstack:secret\.team-a/);
  });

  test("name the address that clients are given, when one is", () => {
    const { gateway } = inventory(two, { baseUrl: "https://llm.example/v1" });
    expect(gatewayUrl(gateway as NonNullable<typeof gateway>)).toBe("https://llm.example/v1");
  });
});

describe("the runtime API", () => {
  const stat = (rows: readonly string[]) =>
    `# pxname,svname,qcur,scur,status,type,check_code,check_desc\n${rows.join("\n")}\n\n`;

  test("is read by the names of its columns, servers alone", () => {
    const rows = [
      "clients,FRONTEND,,3,OPEN,0,,",
      "model:coder,box1,1,2,UP,2,200,Layer7 check passed",
      "model:coder,BACKEND,1,2,UP,1,,",
    ];
    expect(statesIn(stat(rows))).toEqual([
      {
        ...{ backend: "model:coder", host: "box1", status: "UP", running: 2, queued: 1 },
        found: "Layer7 check passed 200",
      },
    ]);
  });

  test("takes a host out of every route at once and waits for what runs and what waits there", async () => {
    const asked: string[] = [];
    let left = 3;
    const gateway = new RuntimeGateway(async (verb, commands) => {
      asked.push(`${verb} ${commands.trim()}`);
      if (verb === "change") return "\n";
      left -= 1;
      return stat([`hosts,box1,0,0,MAINT,2,,`, `model:coder,box1,${Math.max(left, 0)},0,MAINT,2,,`]);
    });
    await gateway.drain("box1", 60);
    expect(asked.filter((one) => one.startsWith("change"))).toEqual([
      "change set server hosts/box1 state maint; set server model:coder/box1 state maint",
    ]);
    expect(left).toBe(0);
  });

  test("passes on what HAProxy refuses, with what to do", async () => {
    const gateway = new RuntimeGateway(async (verb) =>
      verb === "change" ? "No such server.\n" : stat(["hosts,box1,0,0,UP,2,,"]),
    );
    await expect(gateway.undrain("box1")).rejects.toThrow(/box1: No such server. Next: `npx lmstack up`/);
  });
});
