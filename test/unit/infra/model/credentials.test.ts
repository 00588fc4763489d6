import { expect, test } from "vitest";
import { documentHashes, documentsOf } from "../../../../infra/host/documents.ts";
import { readCredentials } from "../../../../infra/model/credentials.ts";
import {
  defaultRepo,
  fileName,
  hubUrl,
  isFolder,
  partNames,
  sourceDocument,
} from "../../../../infra/spec/model-names.ts";
import { parseHostSpec } from "../../../../infra/spec/parse.ts";
import { exampleSpec } from "../spec/example.ts";

const spec = parseHostSpec(
  exampleSpec((s) => {
    s.models[0].source = { hf: "o/r/sub/m 1.gguf@v1", endpoint: "http://hub.example/", secret: "hf" };
    delete s.models[0].sha256;
  }),
);

test("a token is a secret of that name, and every other way to give it is refused", () => {
  const read = (value: string, secret = true) =>
    readCredentials(spec, (name) => (name === "secret.hf" ? { value, secret } : undefined));
  expect([...read("hf_abc").credentials]).toEqual([["Qwen3.6-27B", "hf_abc"]]);
  for (const wrong of [read("hf_abc", false), read("two words"), read(""), readCredentials(spec, () => undefined)]) {
    expect(wrong.credentials.size).toBe(0);
    expect(wrong.faults[0]?.where).toBe("models[0].source.secret (hf)");
    expect(JSON.stringify(wrong.faults)).not.toMatch(/hf_abc|two words/);
  }
});

test("a hub file is one address at the hub that was named, and its token is in no document that is no secret", () => {
  const documents = documentsOf(spec, "box", "x64");
  expect(documents.models[0]?.source).toEqual({ url: "http://hub.example/o/r/resolve/v1/sub/m%201.gguf", hub: true });
  expect(documents.models[0]).not.toHaveProperty("credential");
  expect(Object.keys(documentHashes(documents, { hash: "r", imageHash: "i" }, undefined))).toContain(
    "model-file-Qwen3.6-27B",
  );
  expect(hubUrl("o/r/m.gguf@refs/pr/1")).toBe("https://huggingface.co/o/r/resolve/refs%2Fpr%2F1/m.gguf");
});

test("the first file of a multi-part model stands for all of them", () => {
  expect(partNames("/m/a-00001-of-00003.gguf")).toEqual([1, 2, 3].map((n) => `/m/a-0000${n}-of-00003.gguf`));
  expect(partNames("/m/a-00004-of-00003.gguf")).toHaveLength(1);
  expect(defaultRepo("a.Q4_K_M-00001-of-00003.gguf")).toBe("a");
});

test.each([
  [{ path: "/m/Qwen2.5-7B-4bit/" }, "Qwen2.5-7B-4bit"],
  [{ hf: "mlx-community/Qwen2.5-7B-4bit@refs/pr/1" }, "Qwen2.5-7B-4bit"],
])("a folder keeps its whole name: %j", (source, name) => {
  expect(isFolder(sourceDocument(source))).toBe(true);
  expect(defaultRepo(fileName(source))).toBe(name);
});
