import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { faultLine } from "../../../../infra/spec/faults.ts";
import { baseUrl, proxyRuntime } from "../../../../infra/spec/host-spec.ts";
import { defaultRepo, hubUrl } from "../../../../infra/spec/model-names.ts";
import { checkHostSpec, parseHostSpec } from "../../../../infra/spec/parse.ts";
import { schemaText } from "../../../../infra/spec/write-schema.ts";
import { exampleSpec, hostKey, type Loose } from "./example.ts";

test("what is left out has the ancestor's defaults", () => {
  const spec = parseHostSpec(exampleSpec());
  expect(spec.proxy).toMatchObject({ bind: "0.0.0.0", port: 8080 });
  expect(spec.lmstudio.backendPort).toBe(8081);
  expect(spec.models[0]).toMatchObject({
    import: "symlink",
    publisher: "local",
    thinking: "off",
    load: { gpu: "max", contextLength: 200_000, parallel: 2 },
  });
  expect(spec.connection).toMatchObject({ port: 22, become: "sudo" });
  expect(baseUrl(spec)).toBe("http://10.0.0.5:8080/v1");
  expect(proxyRuntime(spec)).toBe("docker");
});

test("a local connection needs nothing but its name", () => {
  const spec = parseHostSpec(
    exampleSpec((s) => {
      s.connection = { local: true };
    }),
  );
  expect(spec.connection).toEqual({ local: true, become: "none" });
  expect(baseUrl(spec)).toBe("http://127.0.0.1:8080/v1");
});

test("a model's folder is named as the ancestor named it", () => {
  expect(defaultRepo("Qwen3.6-27B-UD-Q4_K_XL.gguf")).toBe("Qwen3.6-27B-UD-Q4_K_XL");
  expect(defaultRepo("SmolLM2-135M-Instruct.Q4_1.gguf")).toBe("SmolLM2-135M-Instruct");
});

test("a hub reference becomes the address of that revision's file", () => {
  expect(hubUrl("owner/repo/sub dir/a.gguf@abc123")).toBe(
    "https://huggingface.co/owner/repo/resolve/abc123/sub%20dir/a.gguf",
  );
  expect(hubUrl("owner/repo/a.gguf")).toBeNull();
});

test("the schema for editors is the current one", async () => {
  const written = await readFile(new URL("../../../../infra/spec/host-spec.schema.json", import.meta.url), "utf8");
  expect(written, "run `npm run schema`").toBe(schemaText());
});

const model = (source: Loose, more: Loose = {}) => ({ id: "other", source, ...more });
/** What is wrong, where it must be found, and a word that the line must hold. */
const wrong: readonly (readonly [string, (spec: Loose) => void, string, RegExp])[] = [
  [
    "an unknown key",
    (s) => {
      s.lmstudio.bakendPort = 1;
    },
    "lmstudio.bakendPort",
    /did you mean backendPort/,
  ],
  [
    "an unknown section",
    (s) => {
      s.proxi = {};
    },
    "proxi",
    /did you mean proxy/,
  ],
  [
    "an unknown key of a model",
    (s) => {
      s.models[0].contextLength = 5;
    },
    "models[0].contextLength",
    /does not exist/,
  ],
  [
    "a wrong type",
    (s) => {
      s.proxy.port = "8080";
    },
    "proxy.port",
    /number/,
  ],
  [
    "a port out of range",
    (s) => {
      s.proxy.port = 70_000;
    },
    "proxy.port",
    /65535/,
  ],
  [
    "a fractional port",
    (s) => {
      s.proxy.port = 80.5;
    },
    "proxy.port",
    /whole number/,
  ],
  [
    "an unknown platform",
    (s) => {
      s.platform = "linux-rocm";
    },
    "platform",
    /linux-cuda, linux-cpu, macos-metal/,
  ],
  [
    "no connection",
    (s) => {
      delete s.connection;
    },
    "connection",
    /found nothing/,
  ],
  [
    "no host key",
    (s) => {
      delete s.connection.hostKey;
    },
    "connection.hostKey",
    /ssh-keyscan/,
  ],
  [
    "a host key that is none",
    (s) => {
      s.connection.hostKey = "SHA256:abc";
    },
    "connection.hostKey",
    /public key line/,
  ],
  [
    "a host that would be an option of ssh",
    (s) => {
      s.connection.host = "-oProxyCommand=sh";
    },
    "connection.host",
    /host name/,
  ],
  [
    "a jump host that would be an option of ssh",
    (s) => {
      s.connection.proxyJump = "-oX";
    },
    "connection.proxyJump",
    /user@/,
  ],
  [
    "local and remote at once",
    (s) => {
      s.connection.local = true;
    },
    "connection.host",
    /does not exist/,
  ],
  [
    "no models",
    (s) => {
      s.models = [];
    },
    "models",
    /at least 1/,
  ],
  [
    "two models with one id",
    (s) => {
      s.models.push({ ...s.models[0] });
    },
    "models[1].id",
    /as models\[0\]/,
  ],
  [
    "two ids that differ only in case",
    (s) => {
      s.models.push({ ...s.models[0], id: "qwen3.6-27b" });
    },
    "models[1].id",
    /own/,
  ],
  [
    "an id with a slash",
    (s) => {
      s.models[0].id = "a/b";
    },
    "models[0].id",
    /letters, digits/,
  ],
  [
    "no source",
    (s) => {
      s.models[0].source = {};
    },
    "models[0].source",
    /exactly one/,
  ],
  [
    "two sources",
    (s) => {
      s.models[0].source.url = "https://x/y.gguf";
    },
    "models[0].source",
    /path and url/,
  ],
  [
    "no digest for a download",
    (s) => {
      s.models.push(model({ url: "https://x.example/y.gguf" }));
    },
    "models[1].sha256",
    /verifiable/,
  ],
  [
    "a digest that is too short",
    (s) => {
      s.models[0].sha256 = "abc";
    },
    "models[0].sha256",
    /64 hexadecimal/,
  ],
  [
    "a relative path",
    (s) => {
      s.models[0].source.path = "../models/a.gguf";
    },
    "models[0].source.path",
    /absolute/,
  ],
  [
    "a path in the home by its sign",
    (s) => {
      s.models[0].source.path = "~/a.gguf";
    },
    "models[0].source.path",
    /absolute/,
  ],
  [
    "a link across hosts",
    (s) => {
      s.models[0].source.path = "other:/models/a.gguf";
    },
    "models[0].source.path",
    /another host/,
  ],
  [
    "a file that is no GGUF",
    (s) => {
      s.models[0].source.path = "/models/a.bin";
    },
    "models[0].source.path",
    /\.gguf/,
  ],
  [
    "a hub file without revision",
    (s) => {
      s.models.push(model({ hf: "o/r/a.gguf" }, { sha256: "c".repeat(64) }));
    },
    "models[1].source.hf",
    /@revision/,
  ],
  [
    "two files for one place",
    (s) => {
      s.models.push(model({ path: "/other/Qwen3.6-27B.Q4_K.gguf" }));
    },
    "models[1].source",
    /taken by models\[0\]/,
  ],
  [
    "a GPU share above one",
    (s) => {
      s.models[0].load = { gpu: 7 };
    },
    "models[0].load.gpu",
    /at most 1|share/,
  ],
  [
    "no context",
    (s) => {
      s.models[0].load = { contextLength: 0 };
    },
    "models[0].load.contextLength",
    /256/,
  ],
  [
    "no slots",
    (s) => {
      s.models[0].load = { parallel: 0 };
    },
    "models[0].load.parallel",
    /at least 1/,
  ],
  [
    "an unknown import",
    (s) => {
      s.models[0].import = "link";
    },
    "models[0].import",
    /symlink, hard-link, copy, move/,
  ],
  [
    "thinking as a boolean",
    (s) => {
      s.models[0].thinking = false;
    },
    "models[0].thinking",
    /off, on, client/,
  ],
  [
    "one port for two servers",
    (s) => {
      s.proxy.port = 8081;
    },
    "proxy.port",
    /two different ports/,
  ],
  [
    "open to everybody without saying so",
    (s) => {
      s.proxy.keys = [];
    },
    "proxy.bind",
    /allowAnonymous: true/,
  ],
  [
    "a key named twice",
    (s) => {
      s.proxy.keys = ["a", "a"];
    },
    "proxy.keys",
    /twice/,
  ],
  [
    "an image by tag",
    (s) => {
      s.proxy.image = "repo:latest";
    },
    "proxy.image",
    /sha256/,
  ],
  [
    "an image for a service",
    (s) => {
      s.proxy.image = `r@sha256:${"a".repeat(64)}`;
      s.proxy.runtime = "native";
    },
    "proxy.image",
    /only with docker/,
  ],
  [
    "Docker on a Mac",
    (s) => {
      s.platform = "macos-metal";
      s.proxy.runtime = "docker";
    },
    "proxy.runtime",
    /native/,
  ],
  [
    "a CUDA engine on a CPU host",
    (s) => {
      s.platform = "linux-cpu";
      s.lmstudio.engine = { name: "llama.cpp-linux-x86_64-nvidia-cuda12", version: "2.25.2" };
    },
    "lmstudio.engine.name",
    /without CUDA/,
  ],
  [
    "a Linux engine on a Mac",
    (s) => {
      s.platform = "macos-metal";
      s.lmstudio.engine = { name: "llama.cpp-linux-x86_64", version: "2.25.2" };
    },
    "lmstudio.engine.name",
    /macos-metal/,
  ],
  [
    "another owner without sudo",
    (s) => {
      s.connection.become = "none";
      s.lmstudio.user = "ai";
    },
    "lmstudio.user",
    /become: sudo/,
  ],
  [
    "a digest of LM Studio that is too short",
    (s) => {
      s.lmstudio.sha512 = "ab";
    },
    "lmstudio.sha512",
    /128/,
  ],
  [
    "an archive on another host",
    (s) => {
      s.lmstudio.url = "file://other/lmstudio.tar.gz";
    },
    "lmstudio.url",
    /on the host itself/,
  ],
  [
    "a base address without /v1",
    (s) => {
      s.codex = { baseUrl: "http://10.0.0.5:8080" };
    },
    "codex.baseUrl",
    /\/v1/,
  ],
  [
    "a provider that no variable could be named after",
    (s) => {
      s.codex = { provider: "9lms" };
    },
    "codex.provider",
    /beginning with a letter/,
  ],
  [
    "a provider that is built into Codex",
    (s) => {
      s.codex = { provider: "lmstudio" };
    },
    "codex.provider",
    /built into Codex/,
  ],
];

test.each(wrong)("%s is refused with its place, what was found and the next step", (_, spoil, where, word) => {
  const { faults } = checkHostSpec(exampleSpec(spoil));
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

test("a linked model may come from an address: the link leads to the download", () => {
  const { faults } = checkHostSpec(
    exampleSpec((s) => {
      s.models.push(model({ url: "https://x.example/y.gguf" }, { sha256: "c".repeat(64), import: "symlink" }));
    }),
  );
  expect(faults).toEqual([]);
  expect(hostKey).toContain("ssh-ed25519");
});
