/** A host on which everything is as declared, to be spoilt by tests. */
import { documentHashes, documentsOf } from "../../../../infra/host/documents.ts";
import type { HostFacts } from "../../../../infra/host/facts.ts";
import type { Observed } from "../../../../infra/spec/host-documents.ts";
import { parseHostSpec } from "../../../../infra/spec/parse.ts";
import { exampleSpec, type Loose } from "../spec/example.ts";

export const spec = parseHostSpec(
  exampleSpec((s) => {
    s.models.push({ id: "second", source: { path: "/models/second.gguf" }, sha256: "c".repeat(64) });
  }),
);
export const documents = documentsOf(spec, "box", "x64");
export const hashes = documentHashes(documents, { hash: "r1", imageHash: "i1" }, undefined);
export const containerHash = (filesToken: string): string => `c${filesToken.length}${filesToken.at(-1)}`;

export const tokens: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(hashes).map(([name, hash]) => [name, `${hash}.s`]),
);

export const observed = (spoil: (facts: Loose) => void = () => {}): Observed => {
  const facts: Observed = {
    lmstudio: {
      installedVersion: "0.0.25-1",
      daemon: { running: true, pid: 7, supervised: true },
      server: { greeting: true, port: 8081, address: "127.0.0.1" },
      service: { active: true, enabled: true, sha256: "u", expectedSha256: "u" },
      settingsDrift: [],
      engine: null,
      adopted: false,
    },
    models: Object.fromEntries(
      spec.models.map(({ id, load }) => [
        id,
        {
          imported: true,
          verified: true,
          instances: [{ identifier: id, contextLength: load.contextLength, parallel: load.parallel }],
        },
      ]),
    ),
    incidents: {},
    journal: [],
    proxy: {
      filesSha256: "f",
      expectedFilesSha256: "f",
      port: spec.proxy.port,
      imagePresent: true,
      containers: [
        { id: "abc", token: `${containerHash(tokens["proxy-files"] as string)}.s`, running: true, health: "healthy" },
      ],
      service: null,
    },
  };
  spoil(facts);
  return facts;
};

export const facts = (change: Partial<HostFacts> = {}): HostFacts => ({
  system: "Linux",
  machine: "x86_64",
  uid: 1000,
  gid: 1000,
  user: "gpu",
  home: "/home/gpu",
  freeBytes: 500 * 2 ** 30,
  glibc: "2.36",
  libatomic: true,
  sudo: true,
  docker: "26.1.5",
  dockerError: null,
  gpu: { driver: "580.95.05", memoryMiB: 32_607, name: "NVIDIA GeForce RTX 5090" },
  listeners: [],
  lms: "foreign",
  runtime: null,
  stack: null,
  tokens: {},
  models: new Map(
    spec.models.map(({ sha256 }, index) => [
      index,
      { state: "file", bytes: 2 ** 34, gguf: true, sha256: [sha256 ?? null].flat()[0] ?? null },
    ]),
  ),
  downloads: new Map(),
  fetched: new Map(),
  observed: null,
  ...change,
});
