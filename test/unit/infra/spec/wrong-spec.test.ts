import { expect, test } from "vitest";
import { faultLine } from "../../../../infra/spec/faults.ts";
import { checkHostSpec } from "../../../../infra/spec/parse.ts";
import { exampleSpec, type Loose } from "./example.ts";

const model = (source: Loose, more: Loose = {}) => ({ id: "other", source, ...more });

/** Puts values at paths such as `models[0].load`; undefined takes the key away. */
const spoilt = (changes: Readonly<Record<string, unknown>>): Loose =>
  exampleSpec((spec) => {
    for (const [path, value] of Object.entries(changes)) {
      const steps = path.split(/[.[\]]+/).filter((step) => step !== "");
      const last = steps.pop() as string;
      const at = steps.reduce((part, step) => part[step], spec);
      if (value === undefined) delete at[last];
      else at[last] = value;
    }
  });

/** What is wrong, how it is written, where it must be found, and a word that the line must hold. */
const wrong: readonly (readonly [string, Readonly<Record<string, unknown>>, string, RegExp])[] = [
  ["an unknown key", { "lmstudio.bakendPort": 1 }, "lmstudio.bakendPort", /did you mean backendPort/],
  ["an unknown section", { proxi: {} }, "proxi", /did you mean proxy/],
  ["an unknown key of a model", { "models[0].contextLength": 5 }, "models[0].contextLength", /does not exist/],
  ["a wrong type", { "proxy.port": "8080" }, "proxy.port", /number/],
  ["a port out of range", { "proxy.port": 70_000 }, "proxy.port", /65535/],
  ["a fractional port", { "proxy.port": 80.5 }, "proxy.port", /whole number/],
  [
    "a search engine without scheme",
    { "proxy.search": { searxng: "box:8888" } },
    "proxy.search.searxng",
    /http or https/,
  ],
  [
    "a password in the search engine's address",
    { "proxy.search": { searxng: "http://me:pw@box/" } },
    "proxy.search.searxng",
    /without user/,
  ],
  ["search without an address", { "proxy.search": {} }, "proxy.search.searxng", /found nothing/],
  ["an unknown platform", { platform: "linux-rocm" }, "platform", /linux-cuda, linux-cpu, macos-metal/],
  ["no connection", { connection: undefined }, "connection", /found nothing/],
  ["no host key", { "connection.hostKey": undefined }, "connection.hostKey", /ssh-keyscan/],
  ["a host key that is none", { "connection.hostKey": "SHA256:abc" }, "connection.hostKey", /public key line/],
  ["a host that would be an option of ssh", { "connection.host": "-oProxyCommand=sh" }, "connection.host", /host name/],
  ["a jump host that would be an option of ssh", { "connection.proxyJump": "-oX" }, "connection.proxyJump", /user@/],
  ["local and remote at once", { "connection.local": true }, "connection.host", /does not exist/],
  ["no word about models", { models: undefined }, "models", /an array/],
  ["two models with one id", { "models[1]": { ...exampleSpec().models[0] } }, "models[1].id", /as models\[0\]/],
  [
    "two ids that differ only in case",
    { "models[1]": { ...exampleSpec().models[0], id: "qwen3.6-27b" } },
    "models[1].id",
    /own/,
  ],
  ["an id with a slash", { "models[0].id": "a/b" }, "models[0].id", /letters, digits/],
  [
    "a quantised cache without flash attention",
    { "models[0].load": { kvCacheType: "q8_0", flashAttention: false } },
    "models[0].load.kvCacheType",
    /remove models\[0\]\.load\.flashAttention/,
  ],
  ["a cache of no known type", { "models[0].load": { kvCacheType: "q3" } }, "models[0].load.kvCacheType", /q8_0/],
  [
    "one file with two kinds of defaults",
    { "models[1]": { ...exampleSpec().models[0], id: "other", load: { flashAttention: false } } },
    "models[1].load",
    /by file/,
  ],
  ["no source", { "models[0].source": {} }, "models[0].source", /exactly one/],
  ["two sources", { "models[0].source.url": "https://x/y.gguf" }, "models[0].source", /path and url/],
  [
    "no digest for a download",
    { "models[1]": model({ url: "https://x.example/y.gguf" }) },
    "models[1].sha256",
    /verifiable/,
  ],
  ["a digest that is too short", { "models[0].sha256": "abc" }, "models[0].sha256", /64 hexadecimal/],
  ["a relative path", { "models[0].source.path": "../models/a.gguf" }, "models[0].source.path", /absolute/],
  ["a path in the home by its sign", { "models[0].source.path": "~/a.gguf" }, "models[0].source.path", /absolute/],
  ["a link across hosts", { "models[0].source.path": "other:/models/a.gguf" }, "models[0].source.path", /another host/],
  ["a file that is no GGUF", { "models[0].source.path": "/models/a.bin" }, "models[0].source.path", /\.gguf/],
  [
    "a hub file without revision",
    { "models[1]": model({ hf: "o/r/a.gguf" }, { sha256: "c".repeat(64) }) },
    "models[1].source.hf",
    /@revision/,
  ],
  [
    "a folder where MLX does not run",
    { "models[0].source.path": "/models/Qwen3-4bit/" },
    "models[0].source.path",
    /macos-metal only\. Next: name the \.gguf file/,
  ],
  [
    "a whole repository where MLX does not run",
    { "models[0].source": { hf: "o/r@v" } },
    "models[0].source.hf",
    /macos-metal only/,
  ],
  ["the whole disk", { platform: "macos-metal", "models[0].source.path": "//" }, "models[0].source.path", /absolute/],
  [
    "a folder with llama.cpp's settings",
    { platform: "macos-metal", "models[0].source.path": "/m/a", "models[0].load": { kvCacheType: "q8_0" } },
    "models[0].load.kvCacheType",
    /only beside a GGUF/,
  ],
  [
    "several digests of a folder",
    { platform: "macos-metal", "models[0].source.path": "/m/a", "models[0].sha256": ["a".repeat(64), "b".repeat(64)] },
    "models[0].sha256",
    /one digest/,
  ],
  [
    "a file within a folder's place",
    {
      platform: "macos-metal",
      "models[0].source.path": "/m/a",
      "models[1]": model({ path: "/m/b.gguf" }, { repo: "a" }),
    },
    "models[1].source",
    /taken by models\[0\]/,
  ],
  [
    "a folder from peers",
    { platform: "macos-metal", "models[0].source": { peer: ["http://h:1"], file: "folder", secret: "k" } },
    "models[0].source.file",
    /a folder never comes from peers/,
  ],
  ["mirrors of a path", { "models[0].source.mirrors": ["https://x/y.gguf"] }, "models[0].source.mirrors", /beside url/],
  ["another hub for a path", { "models[0].source.endpoint": "https://hub.example" }, "models[0].source.endpoint", /hf/],
  ["a token for a path", { "models[0].source.secret": "hf" }, "models[0].source.secret", /beside url or hf/],
  [
    "a stack that is to share a file without its name",
    { "models[0].source": { peerStacks: ["box2"] } },
    "models[0].source.file",
    /beside peers/,
  ],
  [
    "a peer without its key",
    { "models[0].source": { peer: ["http://h:1"], file: "a.gguf" } },
    "models[0].source.secret",
    /add/,
  ],
  ["a token itself", { "models[0].source": { hf: "o/r/a.gguf@v", secret: "a b" } }, "models[0].source.secret", /NAME/],
  [
    "the second part of a model",
    { "models[0].source.path": "/m/a-00002-of-00003.gguf" },
    "models[0].source",
    /first part/,
  ],
  [
    "one digest for three parts",
    { "models[0].source.path": "/m/a-00001-of-00003.gguf" },
    "models[0].sha256",
    /3 digests/,
  ],
  [
    "two digests for one file",
    { "models[0].sha256": ["a".repeat(64), "b".repeat(64)] },
    "models[0].sha256",
    /one digest/,
  ],
  [
    "two files for one place",
    { "models[1]": model({ path: "/other/Qwen3.6-27B.Q4_K.gguf" }) },
    "models[1].source",
    /taken by models\[0\]/,
  ],
  ["a GPU share above one", { "models[0].load": { gpu: 7 } }, "models[0].load.gpu", /at most 1|share/],
  ["no context", { "models[0].load": { contextLength: 0 } }, "models[0].load.contextLength", /256/],
  ["no slots", { "models[0].load": { parallel: 0 } }, "models[0].load.parallel", /at least 1/],
  ["an unknown import", { "models[0].import": "link" }, "models[0].import", /symlink, hard-link, copy, move/],
  ["thinking as a boolean", { "models[0].thinking": false }, "models[0].thinking", /off, on, client/],
  ["one port for two servers", { "proxy.port": 8081 }, "proxy.port", /two different ports/],
  ["open to everybody without saying so", { "proxy.keys": [] }, "proxy.bind", /allowAnonymous: true/],
  ["a key named twice", { "proxy.keys": ["a", "b", { id: "a" }] }, "proxy.keys[2]", /twice, as proxy\.keys\[0\]/],
  ["a key without a form", { "proxy.keys": [5] }, "proxy.keys[0]", /a name, or \{id/],
  ["a key with a blank in its name", { "proxy.keys": ["a b"] }, "proxy.keys[0]", /letters, digits/],
  ["a key's name that no log line should hold", { "proxy.keys": ["a".repeat(65)] }, "proxy.keys[0]", /at most 64/],
  ["a key without a name", { "proxy.keys": [{ models: ["*"] }] }, "proxy.keys[0].id", /found nothing/],
  ["an unknown right of a key", { "proxy.keys": [{ id: "a", model: [] }] }, "proxy.keys[0].model", /mean models/],
  ["a key for no model", { "proxy.keys": [{ id: "a", models: [] }] }, "proxy.keys[0].models", /at least 1/],
  [
    "a key for a model that is not declared",
    { "proxy.keys": ["b", { id: "a", models: ["*", "Qwen3.6-28B"] }] },
    "proxy.keys[1].models[1]",
    /did you mean Qwen3\.6-27B/,
  ],
  ["no requests at all", { "proxy.keys": [{ id: "a", requestsPerMinute: 0 }] }, "proxy.keys[0].requestsPerMinute", /0/],
  ["an end in words", { "proxy.keys": [{ id: "a", expires: "June" }] }, "proxy.keys[0].expires", /2027-01-01T/],
  ["an image by tag", { "proxy.image": "repo:latest" }, "proxy.image", /sha256/],
  [
    "an image for a service",
    { "proxy.image": `r@sha256:${"a".repeat(64)}`, "proxy.runtime": "native" },
    "proxy.image",
    /only with docker/,
  ],
  ["Docker on a Mac", { platform: "macos-metal", "proxy.runtime": "docker" }, "proxy.runtime", /native/],
  [
    "a CUDA engine on a CPU host",
    { platform: "linux-cpu", "lmstudio.engine": { name: "llama.cpp-linux-x86_64-nvidia-cuda12", version: "2.25.2" } },
    "lmstudio.engine.name",
    /without CUDA/,
  ],
  [
    "a Linux engine on a Mac",
    { platform: "macos-metal", "lmstudio.engine": { name: "llama.cpp-linux-x86_64", version: "2.25.2" } },
    "lmstudio.engine.name",
    /macos-metal/,
  ],
  [
    "another owner without sudo",
    { "connection.become": "none", "lmstudio.user": "ai" },
    "lmstudio.user",
    /become: sudo/,
  ],
  ["a digest of LM Studio that is too short", { "lmstudio.sha512": "ab" }, "lmstudio.sha512", /128/],
  [
    "an archive on another host",
    { "lmstudio.url": "file://other/lmstudio.tar.gz" },
    "lmstudio.url",
    /on the host itself/,
  ],
  ["a mirror that is no address", { "lmstudio.mirrors": ["/a.tar.gz"] }, "lmstudio.mirrors[0]", /http or https/],
  ["a base address without /v1", { codex: { baseUrl: "http://10.0.0.5:8080" } }, "codex.baseUrl", /\/v1/],
  [
    "a provider that no variable could be named after",
    { codex: { provider: "9lms" } },
    "codex.provider",
    /beginning with a letter/,
  ],
  ["a provider that is built into Codex", { codex: { provider: "lmstudio" } }, "codex.provider", /built into Codex/],
];

test.each(wrong)("%s is refused with its place, what was found and the next step", (_, changes, where, word) => {
  const { faults } = checkHostSpec(spoilt(changes));
  const lines = faults.map(faultLine);
  const line = lines.find((text) => text.startsWith(`${where}: found `));
  expect(line, lines.join("\n")).toBeDefined();
  expect(line).toMatch(word);
  expect(line).toMatch(/; expected .+\. Next: .+/);
});

test("all faults are told at once, those across keys too, while another section is broken", () => {
  const places = checkHostSpec(
    exampleSpec((s) => {
      s.platform = 1;
      s.proxy.keys = [];
      s.models[0].source.path = "a.gguf";
      s.models.push(model({ url: "https://x.example/y.gguf" }));
      s.typo = 1;
    }),
  ).faults.map(({ where }) => where);
  expect(places.sort()).toEqual(["models[0].source.path", "models[1].sha256", "platform", "proxy.bind", "typo"]);
});

test.each([[undefined], [null], ["text"], [[]], [{ models: [null] }], [{ connection: null }]])(
  "%j is refused without a crash",
  (input) => {
    expect(checkHostSpec(input).faults.length).toBeGreaterThan(0);
  },
);
