import * as pulumi from "@pulumi/pulumi";
import { beforeAll, expect, test } from "vitest";
import { documentsOf } from "../../../infra/host/documents.ts";
import { judgeAll } from "../../../infra/host/drift.ts";
import type { HostFacts } from "../../../infra/host/facts.ts";
import { declare } from "../../../infra/program.ts";
import type { Keys } from "../../../infra/proxy/keys.ts";
import { parseHostSpec } from "../../../infra/spec/parse.ts";
import { containerHash, documents, facts, hashes, spec, tokens } from "./host/observed.ts";
import { exampleSpec } from "./spec/example.ts";

interface Made {
  readonly type: string;
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever a resource was given
  readonly inputs: any;
}

const made: Made[] = [];
const secretMark = "4dabf18193072939515e22adb298388d";
const key = "sk-planted-value-91c2";
const keys: Keys = [{ id: "team-a", models: ["*"], admin: false, value: key }];

const known = { uid: 1000, gid: 1001, home: "/home/gpu", architecture: "x64", tokens } as const;
const runtime = { hash: "0123456789ab", imageHash: "ba9876543210", node: "node-26.10.0-linux-x64" };
const judgements = judgeAll(hashes, containerHash, "", tokens, {}, [], "fresh");

const target = { spec, stack: "box", survey: { documents, runtime, known, judgements, facts: null } };

async function run(asked = spec, its = documents, given = keys): Promise<readonly Made[]> {
  made.length = 0;
  const outputs = declare(
    { spec: asked, stack: "box", survey: { documents: its, runtime, known, judgements, facts: null } },
    given,
  );
  await new Promise((resolve) => pulumi.output(outputs).apply(resolve));
  return [...made].sort((a, b) => (a.name < b.name ? -1 : 1));
}

beforeAll(async () => {
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        made.push({ type, name, inputs });
        return { id: `${name}-id`, state: { ...inputs, stdout: '{"ok":true,"changed":[],"words":"fine"}' } };
      },
      call: ({ token }) => {
        throw new Error(`nothing should be called, ${token} was`);
      },
    },
    "lmstack",
    "box",
    true,
  );
});

const named = (all: readonly Made[], name: string) => all.find((resource) => resource.name === name)?.inputs;

test("one host is a runtime, verified files, LM Studio, models, a proxy behind its gate, and two proofs", async () => {
  const commands = (await run()).filter(({ type }) => type === "command:local:Command").map(({ name }) => name);
  expect(commands).toEqual([
    "lmstudio",
    "model-Qwen3.6-27B",
    "model-file-Qwen3.6-27B",
    "model-file-second",
    "model-second",
    "proof",
    "proof-from-here",
    "proxy-files",
    "proxy-gate",
    "proxy-image",
    "runtime",
  ]);
});

test("the container is confined, sees the GPU, and shares one folder with the host", async () => {
  const container = (await run()).find(({ type }) => type === "docker:index/container:Container")?.inputs;
  expect(container).toMatchObject({
    networkMode: "host",
    gpus: "all",
    envs: ["NVIDIA_DRIVER_CAPABILITIES=utility"],
    user: "1000:1001",
    readOnly: true,
    securityOpts: ["no-new-privileges"],
    capabilities: { drops: ["ALL"] },
    mounts: [{ type: "bind", source: "/home/gpu/.lmstack/proxy", target: "/run/lmstack" }],
    image: "lmstack-proxy:ba9876543210",
    wait: false,
  });
  expect(container.name, "a fixed name would stand in a successor's way").toBeUndefined();
});

test("without Docker there is neither an image nor a container nor a gate", async () => {
  const native = parseHostSpec(
    exampleSpec((s) => {
      s.proxy.runtime = "native";
      s.models.push({ ...s.models[0], id: "second", source: { path: "/m/second.gguf" } });
    }),
  );
  const types = (await run(native, documentsOf(native, "box", "x64")))
    .map(({ type, name }) => `${type} ${name}`)
    .join("\n");
  expect(types).not.toMatch(/docker|proxy-image|proxy-gate/);
});

test("an unchanged program gives the same inputs to every resource", async () => {
  expect(JSON.stringify(await run())).toBe(JSON.stringify(await run()));
});

test("no input holds a path of this machine, so another operator changes nothing", async () => {
  const text = JSON.stringify(await run());
  expect(text).not.toContain(process.cwd());
  expect(text).not.toContain(process.env.HOME);
});

test("a key is in secret inputs only, and its digest too", async () => {
  const resources = await run();
  const open = JSON.stringify(resources, (_, value) =>
    value && typeof value === "object" && secretMark in value ? "[secret]" : value,
  );
  expect(open).not.toContain(key);
  expect(open).not.toMatch(/"sha256":"(?!b{64}|c{64})[0-9a-f]{64}"/);
  expect(named(resources, "proxy-files").stdin).toHaveProperty(secretMark);
  expect(named(resources, "proof-from-here").stdin).toHaveProperty(secretMark);
  expect(
    JSON.stringify(
      resources.filter(({ inputs }) => inputs?.create).map(({ inputs }) => [inputs.create, inputs.delete]),
    ),
  ).not.toContain(key);
});

const sent = (all: readonly Made[], name: string) => {
  const { stdin } = named(all, name);
  return JSON.parse(typeof stdin === "string" ? stdin : stdin.value);
};

test("the proxy's configuration only names the file of the keys, which says what each key allows", async () => {
  const bound = { models: ["second"], requestsPerMinute: 30, expires: "2027-01-01T00:00:00Z", admin: false };
  const document = sent(
    await run(spec, documents, [...keys, { id: "b", value: "sk-other-value", ...bound }]),
    "proxy-files",
  );
  expect(document.config).toMatchObject({ keysFile: "keys.json" });
  expect(document.config).not.toHaveProperty("keys");
  const sha256 = expect.stringMatching(/^[0-9a-f]{64}$/);
  expect(document.keys).toEqual([
    { id: "team-a", models: ["*"], admin: false, sha256 },
    { id: "b", ...bound, sha256 },
  ]);
  const open = parseHostSpec(
    exampleSpec((s) => {
      s.proxy = { allowAnonymous: true };
    }),
  );
  expect(documentsOf(open, "box", "x64").proxyConfig).not.toHaveProperty("keysFile");
});

test("other keys change the proxy's files and nothing else on the host", async () => {
  const [before, after] = [
    await run(),
    await run(spec, documents, [{ ...keys[0], value: "sk-rotated" } as Keys[number]]),
  ];
  const differing = before.filter(
    ({ inputs }, index) => JSON.stringify(inputs) !== JSON.stringify(after[index]?.inputs),
  );
  expect(differing.map(({ name }) => name)).toEqual(["proof-from-here", "proxy-files"]);
});

test("a key that may not use every model proves and configures those that it may", async () => {
  const bound: Keys = [{ id: "b", models: ["second"], admin: false, value: "sk-other-value" }];
  const proof = sent(await run(spec, documents, bound), "proof-from-here");
  expect(proof.models.map(({ id }: { id: string }) => id)).toEqual(["second"]);
  expect(proof.key).toBe("sk-other-value");
});

test("an LM Studio that somebody else installed is not called by the declared version", () => {
  const version = (lms: HostFacts["lms"]) =>
    declare({ ...target, survey: { ...target.survey, facts: facts({ lms }) } }, []).versions.lmstudio;
  expect(version("foreign")).toBe("taken over");
  expect(version("absent")).toBe("0.0.25-1");
  expect(version("declared")).toBe("0.0.25-1");
});

test("every Command keeps clear of the plugin's traps", async () => {
  for (const { inputs } of (await run()).filter(({ type }) => type === "command:local:Command")) {
    expect(inputs).toMatchObject({ logging: "stderr", addPreviousOutputInEnv: false });
    expect(inputs.triggers, "a trigger would replace instead of update").toBeUndefined();
  }
});
