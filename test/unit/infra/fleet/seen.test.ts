/** What one look at a host means for a plan. */
import { describe, expect, it } from "vitest";
import type { FleetHost } from "../../../../infra/fleet/compose.ts";
import { seenHost, sitesOf } from "../../../../infra/fleet/seen.ts";
import { driftReasons, judgeAll } from "../../../../infra/host/drift.ts";
import { parseHostSpec } from "../../../../infra/spec/parse.ts";
import { containerHash, documents, hashes, observed, spec, tokens } from "../host/observed.ts";
import type { Loose } from "../spec/example.ts";

const host: FleetHost = { name: "box", labels: {}, groups: [], declared: {}, spec };
const seen = (
  held: Readonly<Record<string, string>> = tokens,
  spoil: (facts: Loose) => void = () => {},
  of: FleetHost = host,
  sites: ReadonlyMap<string, string> = new Map(),
) => {
  const found = observed(spoil);
  const reasons = driftReasons(documents, found);
  const judgements = judgeAll(hashes, containerHash, "", held, reasons, found.proxy.containers, "now");
  const known = { uid: 1, gid: 1, home: "/home/gpu", architecture: "x64", tokens: held } as const;
  return seenHost(of, { judgements, known, documents }, found, null, sites, null);
};
const steps = (...asked: Parameters<typeof seen>) => seen(...asked).steps.map(({ resource }) => resource);

it("a host on which everything is as declared serves its models and has no step", () => {
  expect(seen()).toMatchObject({ available: true, serves: ["Qwen3.6-27B", "second"], steps: [], failed: null });
});

it("what changes comes in the order of a deploy, files before what takes the host out of service", () => {
  const changed = {
    ...tokens,
    proof: "other.s",
    "model-second": "other.s",
    "model-file-second": "other.s",
    lmstudio: "other.s",
  };
  expect(steps(changed)).toEqual(["model-file-second", "lmstudio", "model-second", "proof"]);
});

it("drift is a step, and so is a model that is declared no longer, which still answers until then", () => {
  expect(
    steps(tokens, (facts) => {
      facts.models.second.instances = [];
    }),
  ).toEqual(["model-second"]);
  const former = seen({ ...tokens, "model-former": "x.s" });
  expect(former.steps).toEqual([{ resource: "model-former" }]);
  expect(former.serves).toContain("former");
});

it("how fast each model was when it was last proved is known, whatever the host is asked for now", () => {
  const { provedPaces } = seen(tokens, (facts) => {
    facts.models.second.proof = {
      ok: true,
      current: true,
      at: "",
      depth: "full",
      words: "",
      firstTokenMs: 9,
      tokensPerSecond: 42.5,
    };
  });
  expect(provedPaces.second).toBe(42.5);
});

describe("a host is not available", () => {
  it.each([
    [
      "without its daemon",
      (facts: Loose) => {
        facts.lmstudio.daemon.running = false;
      },
    ],
    [
      "without LM Studio's server",
      (facts: Loose) => {
        facts.lmstudio.server.greeting = false;
      },
    ],
    [
      "without a running proxy",
      (facts: Loose) => {
        facts.proxy.containers[0].running = false;
      },
    ],
  ])("%s", (_, spoil) => {
    expect(seen(tokens, spoil)).toMatchObject({ available: false, serves: [] });
  });
});

it("what the supervisor gave up on counts as failed", () => {
  const { failed } = seen(tokens, (facts) => {
    facts.failing = { "model-second": "it does not fit the card", "model-other": "x" };
  });
  expect(failed).toBe("model-second: it does not fit the card");
});

it("a file whose every peer is a host of the fleet waits for one of them", () => {
  const from = (peers: { peer: string[] } | { peerStacks: string[] }) => {
    const [model] = spec.models;
    const source = { ...peers, file: "m.gguf", secret: "k" };
    const of = { ...host, spec: { ...spec, models: [{ ...model, source }] } as typeof spec };
    const other = {
      ...host,
      name: "first",
      spec: parseHostSpec({ ...spec, connection: { ...spec.connection, host: "10.0.0.9" } }),
    };
    const missing = { ...tokens, "model-file-Qwen3.6-27B": "other.s" };
    return seen(missing, () => {}, of, sitesOf([other])).steps[0]?.fetch;
  };
  const first = { file: "b".repeat(64), from: ["first"] };
  expect(from({ peer: ["http://10.0.0.9:8079"] })).toEqual(first);
  expect(from({ peerStacks: ["first"] })).toEqual(first);
  expect(from({ peer: ["http://10.0.0.9:8079", "http://elsewhere:8079"] })).toBeUndefined();
  expect(from({ peerStacks: ["first", "of-another-project"] })).toBeUndefined();
});
