import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { baseUrl, proxyRuntime } from "../../../../infra/spec/host-spec.ts";
import { defaultRepo, hubUrl } from "../../../../infra/spec/model-names.ts";
import { checkHostSpec, parseHostSpec } from "../../../../infra/spec/parse.ts";
import { schemaTexts } from "../../../../infra/spec/write-schema.ts";
import { exampleSpec } from "./example.ts";

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

test("a key that is only named may do everything but administrate; what it says more binds it", () => {
  const bound = {
    id: "b",
    models: ["Qwen3.6-27B"],
    requestsPerMinute: 30,
    expires: "2027-01-01T00:00:00Z",
    admin: true,
  };
  const spec = parseHostSpec(
    exampleSpec((s) => {
      s.proxy.keys = ["a", bound, { id: "c" }];
    }),
  );
  expect(spec.proxy.keys).toEqual([
    { id: "a", models: ["*"], admin: false },
    bound,
    { id: "c", models: ["*"], admin: false },
  ]);
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

test.each(Object.entries(schemaTexts()))("the schema for editors is the current one: %s", async (file, text) => {
  const written = await readFile(new URL(`../../../../infra/spec/${file}`, import.meta.url), "utf8");
  expect(written, "run `npm run schema`").toBe(text);
});

test("a linked model may come from an address: the link leads to the download", () => {
  const { faults } = checkHostSpec(
    exampleSpec((s) => {
      const source = { url: "https://x.example/y.gguf" };
      s.models.push({ id: "other", source, sha256: "c".repeat(64), import: "symlink" });
    }),
  );
  expect(faults).toEqual([]);
});
