import { expect, test } from "vitest";
import { documentHashes, documentsOf } from "../../../../infra/host/documents.ts";
import { documents, hashes, spec } from "./observed.ts";

test("LM Studio is told which models are declared, so a model that is taken out changes its document", () => {
  expect(documents.lmstudio.models).toEqual(["Qwen3.6-27B", "second"]);
  const fewer = documentsOf({ ...spec, models: spec.models.slice(0, 1) }, "box", "x64");
  expect(documentHashes(fewer, { hash: "r1", imageHash: "i1" }, undefined).lmstudio).not.toBe(hashes.lmstudio);
});
