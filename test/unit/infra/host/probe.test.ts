import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { documentsOf } from "../../../../infra/host/documents.ts";
import type { HostFacts } from "../../../../infra/host/facts.ts";
import { lookAtHost, probeScript } from "../../../../infra/host/probe.ts";
import { parseHostSpec } from "../../../../infra/spec/parse.ts";
import { exampleSpec, type Loose } from "../spec/example.ts";

let folder = "";
const before = process.env.HOME;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lmstack-probe-"));
  mkdirSync(join(folder, "home"));
  process.env.HOME = join(folder, "home");
});
afterEach(() => {
  process.env.HOME = before;
  rmSync(folder, { recursive: true });
});

async function look(spoil: (spec: Loose) => void, hashes: Record<string, string> = {}): Promise<HostFacts> {
  return await lookAt((s) => {
    s.connection = { local: true };
    spoil(s);
  }, hashes);
}

async function lookAt(spoil: (spec: Loose) => void, hashes: Record<string, string> = {}): Promise<HostFacts> {
  const spec = parseHostSpec(
    exampleSpec((s) => {
      s.platform = "linux-cpu";
      s.proxy.runtime = "native";
      spoil(s);
    }),
  );
  const { facts } = await lookAtHost(spec, folder, probeScript(spec, documentsOf(spec, "box", "x64"), hashes));
  if (!facts) throw new Error("no facts");
  return facts;
}

test("a look at a bare machine finds it bare, and leaves it so", async () => {
  const facts = await look(() => {});
  expect(facts).toMatchObject({
    home: join(folder, "home"),
    uid: process.getuid?.(),
    runtime: null,
    tokens: {},
    observed: null,
    lms: "absent",
  });
  expect(facts.freeBytes).toBeGreaterThan(0);
  expect(facts.models.get(0)?.state).toBe("absent");
  expect(readdirSync(join(folder, "home"))).toEqual([]);
});

test("all that is asked of a host goes there in one call of ssh", async () => {
  const path = join(folder, "model.gguf");
  writeFileSync(path, "GGUF");
  const calls = join(folder, "calls");
  const bin = join(folder, "bin");
  mkdirSync(bin);
  // The last word is what ssh would run there.
  const ssh = `#!/bin/sh\necho "$@" >> "${calls}"\nfor words; do :; done\nexec sh -c "$words"\n`;
  writeFileSync(join(bin, "ssh"), ssh, { mode: 0o755 });
  const usual = process.env.PATH;
  process.env.PATH = `${bin}:${usual}`;
  try {
    const facts = await lookAt((s) => {
      s.models[0].source.path = path;
    });
    expect(facts).toMatchObject({ lms: "absent", runtime: null, home: join(folder, "home") });
    expect(facts.models.get(0)).toMatchObject({ state: "file", bytes: 4 });
  } finally {
    process.env.PATH = usual;
  }
  expect(readFileSync(calls, "utf8").trimEnd().split("\n")).toHaveLength(1);
});

test("a declared file is read and its digest taken, whatever its name; verified once, it is not read again", async () => {
  const path = join(folder, "it's a $(model) `x`.gguf");
  const content = "GGUF and more";
  writeFileSync(path, content);
  const place = (s: Loose) => {
    s.models[0].source.path = path;
  };
  const sha256 = createHash("sha256").update(content).digest("hex");
  expect((await look(place)).models.get(0)).toEqual({ state: "file", bytes: 13, gguf: true, sha256 });
  mkdirSync(join(folder, "home/.lmstack/tokens"), { recursive: true });
  writeFileSync(join(folder, "home/.lmstack/tokens/model-file-Qwen3.6-27B"), "abc.1");
  const hashes = { "model-file-Qwen3.6-27B": "abc" };
  const again = await look(place, hashes);
  expect(again.models.get(0)).toMatchObject({ state: "file", sha256: null });
  expect(again.tokens).toEqual({ "model-file-Qwen3.6-27B": "abc.1" });
});

test("a hub's whole repository is left to the host to ask for", () => {
  const spec = parseHostSpec(
    exampleSpec((s) => {
      s.platform = "macos-metal";
      s.models[0].source = { hf: "o/r@main" };
    }),
  );
  expect(probeScript(spec, documentsOf(spec, "box", "x64"), {})).not.toMatch(/remote model-file/);
});

test("an archive is asked for as hostctl will open it, until the declared version lies on the host", async () => {
  const archive = join(folder, "LM Studio 100%.tar.gz");
  writeFileSync(archive, "1234567");
  const declare = (s: Loose) => {
    s.lmstudio.url = pathToFileURL(archive).href;
  };
  mkdirSync(join(folder, "home/.lmstack/downloads"), { recursive: true });
  writeFileSync(join(folder, "home/.lmstack/downloads/llmster-0.0.25-1.tar.gz.part"), "123");
  const bare = await look(declare);
  expect([bare.lms, bare.downloads.get("lmstudio"), bare.fetched.get("lmstudio")]).toEqual(["absent", 7, 3]);
  mkdirSync(join(folder, "home/.lmstudio/bin"), { recursive: true });
  writeFileSync(join(folder, "home/.lmstudio/bin/lms"), "", { mode: 0o755 });
  expect(await look(declare)).toMatchObject({ lms: "foreign", downloads: new Map() });
  mkdirSync(join(folder, "home/.lmstack/state"));
  writeFileSync(join(folder, "home/.lmstack/state/installed.json"), "{}");
  expect(await look(declare)).toMatchObject({ lms: "own", downloads: new Map([["lmstudio", 7]]) });
  mkdirSync(join(folder, "home/.lmstudio/llmster/0.0.25-1/llmster"), { recursive: true });
  expect(await look(declare)).toMatchObject({ lms: "declared", downloads: new Map() });
});

test("whoever holds a wanted port is named", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const { listeners } = await look((s) => {
      s.proxy.port = port;
    });
    expect(listeners).toMatchObject([{ port, uid: process.getuid?.(), ours: false }]);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});
