import { expect, test } from "vitest";
import { documentHashes, documentsOf } from "../../../../infra/host/documents.ts";
import { proxyConfigSchema } from "../../../../infra/spec/proxy-config.ts";
import { documents, hashes, spec } from "./observed.ts";

test("LM Studio is told which models are declared, so a model that is taken out changes its document", () => {
  expect(documents.lmstudio.models).toEqual(["Qwen3.6-27B", "second"]);
  const fewer = documentsOf({ ...spec, models: spec.models.slice(0, 1) }, "box", "x64");
  expect(documentHashes(fewer, { hash: "r1", imageHash: "i1" }, undefined).lmstudio).not.toBe(hashes.lmstudio);
});

test("the search engine reaches the proxy's configuration, and without one nothing is said of it", () => {
  const search = { searxng: "http://127.0.0.1:8888/", perAnswer: 8, seconds: 15 };
  const { proxyConfig } = documentsOf({ ...spec, proxy: { ...spec.proxy, search } }, "box", "x64");
  expect(proxyConfigSchema.parse(proxyConfig).search).toEqual(search);
  expect(documents.proxyConfig).not.toHaveProperty("search");
});
