import { expect, test } from "vitest";
import { documentsOf } from "../../../../infra/host/documents.ts";
import { type HostFacts, parseFacts } from "../../../../infra/host/facts.ts";
import { preflight } from "../../../../infra/host/preflight.ts";
import { probeScript } from "../../../../infra/host/probe.ts";
import { faultLine } from "../../../../infra/spec/faults.ts";
import { parseHostSpec } from "../../../../infra/spec/parse.ts";
import { exampleSpec, type Loose } from "../spec/example.ts";
import { facts, observed } from "./observed.ts";

const check = (change: Partial<HostFacts>, spoil: (spec: Loose) => void = () => {}): string[] => {
  const spec = parseHostSpec(exampleSpec(spoil));
  return preflight(spec, documentsOf(spec, "box", "x64"), facts(change)).map(faultLine);
};
const file = { state: "file", bytes: 100 * 2 ** 30, gguf: true, sha256: "b".repeat(64) } as const;
const models = (change: object) => new Map([[0, { ...file, ...change }]]);
const listener = { port: 8080, uid: 33, ours: false, program: "nginx" };

const mlx = (spec: Loose) => {
  spec.platform = "macos-metal";
  spec.models[0].source.path = "/models/Qwen3-4bit";
};

test("a ready host has no faults", () => {
  expect(check({})).toEqual([]);
  const mac = { system: "Darwin", machine: "arm64", docker: null, models: models({ state: "nofile" }) };
  expect(check(mac, mlx)).toEqual([]);
  expect(check({ lms: "absent", downloads: new Map([["lmstudio", 2 ** 30]]) })).toEqual([]);
});

test.each<[string, Partial<HostFacts>, RegExp, ((spec: Loose) => void)?]>([
  ["another system", { system: "Darwin", machine: "arm64" }, /found Darwin arm64; expected Linux/],
  ["no Docker", { docker: null, dockerError: "no docker command" }, /no Docker .*host prepare --stack box`/],
  ["a Docker that the user may not use", { docker: null, dockerError: "permission denied" }, /gpu may not use Docker/],
  ["no sudo rights", { sudo: false }, /sudo -n.*host prepare/],
  ["no card", { gpu: null }, /nvidia-smi/],
  [
    "a driver that is too old",
    { gpu: { driver: "535.104.05", memoryMiB: 1, name: "x" } },
    /driver 535\.104\.05; expected 550\.54\.14/,
  ],
  [
    "a driver that is a little too old",
    { gpu: { driver: "550.54.13", memoryMiB: 1, name: "x" } },
    /550\.54\.14 or newer/,
  ],
  ["a C library that is too old", { glibc: "2.27" }, /glibc 2\.27; expected glibc 2\.28/],
  ["another C library", { glibc: null }, /no glibc/],
  ["a missing library", { lms: "absent", libatomic: false }, /libatomic1/],
  ["the proxy's port in use", { listeners: [listener] }, /port 8080 \(proxy\.port\) in use by nginx of uid 33/],
  ["the backend's port in use", { listeners: [{ ...listener, port: 8081 }] }, /port 8081 \(lmstudio\.backendPort\)/],
  ["no model file", { models: models({ state: "absent" }) }, /model Qwen3\.6-27B: found no file \/models/],
  ["a model file that may not be read", { models: models({ state: "unreadable" }) }, /gpu may not read/],
  ["a folder that is none", { system: "Darwin", machine: "arm64", docker: null }, /which is not a folder/, mlx],
  [
    "no folder",
    { system: "Darwin", machine: "arm64", docker: null, models: models({ state: "absent" }) },
    /found no folder \/models\/Qwen3-4bit/,
    mlx,
  ],
  ["a file that is no GGUF", { models: models({ gguf: false }) }, /does not begin as a GGUF/],
  [
    "another digest",
    { models: models({ sha256: "d".repeat(64) }) },
    /found sha256 d+ of .*; expected b+ \(models\[0\]\.sha256\)/,
  ],
  [
    "too small a disk for a copy",
    { freeBytes: 50 * 2 ** 30 },
    /50\.00 GiB free.*expected 105\.00 GiB/,
    (s) => {
      s.models[0].import = "copy";
    },
  ],
  [
    "too small a disk for the download",
    { freeBytes: 2 ** 30, lms: "absent", downloads: new Map([["lmstudio", 2 ** 30]]) },
    /1\.00 GiB free.*4\.00 GiB \(LM Studio 3\.00 GiB/,
  ],
  ["an archive that is not there", { lms: "absent", downloads: new Map([["lmstudio", null]]) }, /no file at /],
  [
    "no digest for LM Studio",
    { lms: "absent" },
    /lmstudio\.sha512: found nothing/,
    (s) => {
      s.lmstudio = { version: "9.9.9-1" };
    },
  ],
])("%s is refused in words", (_, change, word, spoil) => {
  const lines = check({ models: models({}), ...change }, spoil);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(word);
  expect(lines[0]).toMatch(/\. Next: .+/);
});

test("all faults of a host are told at once", () => {
  expect(check({ sudo: false, docker: null, gpu: null, models: models({ state: "absent" }) })).toHaveLength(4);
});

test("ports that LM Studio, the running proxy or the old script hold are no fault", () => {
  expect(
    check({
      listeners: [
        { ...listener, ours: true },
        { ...listener, port: 8081, ours: true },
      ],
    }),
  ).toEqual([]);
  expect(check({ listeners: [listener], observed: observed() })).toEqual([]);
});

test.each<[string, Partial<HostFacts>, number]>([
  ["lmstack installed another version", { lms: "own" }, 1],
  ["the declared version is there and another is in use", { lms: "declared", observed: observed() }, 1],
  ["the declared version is there and nothing else is known", { lms: "declared" }, 0],
])("a version that needs an archive needs its digest: when %s", (_, change, faults) => {
  const lines = check(change, (s) => {
    s.lmstudio = { version: "9.9.9-1" };
  });
  expect(lines.filter((line) => line.startsWith("lmstudio.sha512"))).toHaveLength(faults);
});

test("what was fetched before a download was cut off needs no room again", () => {
  const download = { lms: "absent", downloads: new Map([["lmstudio", 2 ** 30]]), freeBytes: 3.75 * 2 ** 30 } as const;
  expect(check(download)).toHaveLength(1);
  expect(check({ ...download, fetched: new Map([["lmstudio", 2 ** 29]]) })).toEqual([]);
});

test("a host belongs to one stack, and to nobody before the first", () => {
  expect(check({ stack: "box" })).toEqual([]);
  expect(check({ stack: "old", docker: null })).toEqual([
    expect.stringMatching(
      /already belongs to stack old; expected this stack, box\. Next: run `pulumi destroy --stack old`/,
    ),
  ]);
});

test("a port that the running proxy is to move to is not its own yet", () => {
  const moved = observed((seen) => {
    seen.proxy.port = 9090;
  });
  expect(check({ listeners: [listener], observed: moved })).toEqual([expect.stringMatching(/port 8080 .* by nginx/)]);
});

test("a host whose LM Studio is taken over needs no digest", () => {
  expect(
    check({ lms: "foreign" }, (s) => {
      s.lmstudio = { version: "9.9.9-1" };
    }),
  ).toEqual([]);
});

test("what the probe prints is read, and anything else is refused with its first words", () => {
  const lines = [
    "system\tLinux",
    "home\t/home/gpu",
    "gpu\t580.95.05, 32607, NVIDIA GeForce RTX 5090",
    "listens\t8080 0 no sshd",
    "token\tlmstudio a.b",
    "model\t0 file 5 GGUF -",
    "model\t1 absent",
    "remote\tlmstudio 77",
    "remote\tmodel-file-x absent",
    "runtime\truntime/abc",
    "stack\tbox",
    'observed\t{"ok":false}',
  ];
  const read = parseFacts(lines.join("\n"));
  expect(read).toMatchObject({
    home: "/home/gpu",
    runtime: "abc",
    stack: "box",
    tokens: { lmstudio: "a.b" },
    observed: null,
    sudo: null,
  });
  expect(read.gpu).toEqual({ driver: "580.95.05", memoryMiB: 32_607, name: "NVIDIA GeForce RTX 5090" });
  expect(read.models.get(0)).toEqual({ state: "file", bytes: 5, gguf: true, sha256: null });
  expect([...read.downloads]).toEqual([
    ["lmstudio", 77],
    ["model-file-x", null],
  ]);
  expect(() => parseFacts("This account is currently not available.")).toThrow(/not available/);
});

test("nothing that a spec names can end a quotation in the probe", () => {
  const spec = parseHostSpec(
    exampleSpec((s) => {
      s.models[0].source.path = "/m/it's $(touch x) `y`.gguf";
    }),
  );
  const script = probeScript(spec, documentsOf(spec, "box", "x64"), {});
  expect(script).toContain(`'/m/it'\\''s $(touch x) \`y\`.gguf'`);
});
