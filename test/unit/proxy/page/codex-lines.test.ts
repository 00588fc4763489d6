import type { IncomingMessage } from "node:http";
import fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import { codexLines, originOf } from "../../../../proxy/page/codex-lines.ts";
import { statusSnapshot } from "../../../../proxy/page/snapshot.ts";
import { parts } from "./parts.ts";

const asked = (headers: Record<string, string>, localAddress = "::ffff:10.0.0.5") =>
  originOf({ headers, socket: { localAddress, localPort: 8080 } } as unknown as IncomingMessage);

describe("the address that Codex is given", () => {
  it.each([
    ["gpu-box.lan:8080", "http://gpu-box.lan:8080"],
    ["GPU", "http://gpu"],
    ["[fd00::5]:81", "http://[fd00::5]:81"],
    ['x"><script>', "http://10.0.0.5:8080"],
    ["a b", "http://10.0.0.5:8080"],
    ["user@host", "http://10.0.0.5:8080"],
    ["host/path", "http://10.0.0.5:8080"],
    ["host:99999", "http://10.0.0.5:8080"],
    ["[::::]", "http://10.0.0.5:8080"],
    ["", "http://10.0.0.5:8080"],
  ])("for Host %j is %s", (host, origin) => {
    expect(asked({ host })).toBe(origin);
  });

  it("is an https one behind a proxy that ends TLS", () => {
    expect(asked({ host: "llm.example", "x-forwarded-proto": "https" })).toBe("https://llm.example");
  });

  it("is one that a URL can be made of, whatever Host says", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary-ascii" }), (host) => {
        expect(asked({ host }, "fe80::1")).toSatisfy(
          (origin: string) => URL.canParse(`${origin}/v1`) && !/["<>\s]/.test(origin),
        );
      }),
    );
  });
});

describe("the lines for Codex", () => {
  const read = (snapshot: Parameters<typeof codexLines>[1]) => parse(codexLines("http://host:1", snapshot).toml);

  it("name the endpoint, the wire form, a model that is loaded and its window", () => {
    expect(read(statusSnapshot(parts))).toEqual({
      model: "m",
      model_provider: "lms",
      model_context_window: 200_000,
      model_providers: {
        lms: {
          name: "lms API",
          base_url: "http://host:1/v1",
          wire_api: "responses",
          stream_idle_timeout_ms: 10_000_000,
        },
      },
    });
  });

  it("ask for a key only where keys are needed", () => {
    const keyed = statusSnapshot({ ...parts, config: { ...parts.config, keysFile: "keys.json" } });
    expect(read(keyed)).toMatchObject({
      model_providers: { lms: { env_key: "LMS_API_KEY", model_catalog_url: "http://host:1/v1/models" } },
    });
    expect(codexLines("http://h", keyed).shell).toContain("export LMS_API_KEY=");
    expect(codexLines("http://h", statusSnapshot(parts)).shell).not.toContain("LMS_API_KEY");
  });

  it("never offer an embedding model that is merely loaded", () => {
    const loaded = new Map([
      ["text-embedding-x", { reasoning: undefined, parallel: undefined, contextLength: undefined }],
    ]);
    const config = { ...parts.config, models: {} };
    expect(read(statusSnapshot({ ...parts, config, loaded }))).toMatchObject({ model: "MODEL" });
  });

  it("are TOML for any name of a model", () => {
    const sign = fc.oneof(
      fc.constantFrom('"', "\\", "\x7f", "\ud800", "'"),
      fc.string({ unit: "binary", maxLength: 3 }),
    );
    const name = fc.array(sign, { minLength: 1, maxLength: 30 }).map((signs) => signs.join(""));
    fc.assert(
      fc.property(name, (name) => {
        fc.pre(name !== "" && name !== "*" && name !== "__proto__");
        const config = { ...parts.config, models: { [name]: { thinking: "off" } } } as const;
        const snapshot = statusSnapshot({ ...parts, config });
        expect(read(snapshot)).toMatchObject({ model: snapshot.models[0]?.model });
      }),
    );
  });
});
