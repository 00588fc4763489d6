/** `lmstack model` and `unload`: what becomes of a stack's file. */
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { declaredModels, sourceOf, withModel, withoutModels } from "../../../infra/cli/model-plan.ts";
import { exampleSpec, type Loose } from "../infra/spec/example.ts";

const file = "Pulumi.box.yaml";
const textOf = (change: (spec: Loose) => void = () => {}) =>
  stringify({ config: { "lmstack:host": exampleSpec(change) } }, { lineWidth: 0 });
const ids = (text: string) => declaredModels(text, file).map(({ id }) => id);
const wish = { id: "b", source: { path: "/models/b.gguf" }, load: {} };

describe("model add", () => {
  it("puts the model behind the others and touches nothing else", () => {
    const before = textOf().replace("    models:", "    # in this order\n    models:");
    const after = withModel(before, file, wish);
    expect(ids(after)).toEqual(["Qwen3.6-27B", "b"]);
    expect(after).toContain("# in this order\n");
    expect(withoutModels(after, file, ["b"])).toBe(before);
  });

  it("refuses an id that is taken, in whatever case", () => {
    expect(() => withModel(textOf(), file, { ...wish, id: "qwen3.6-27b" })).toThrow(/has a model .* already.*remove/);
  });

  it("says what is wrong with the model itself, and is not hindered by faults elsewhere", () => {
    const url = { ...wish, source: { url: "https://models.example/b.gguf" } };
    expect(() => withModel(textOf(), file, url)).toThrow(/the model b\.sha256.*must be verifiable/);
    expect(() => withModel(textOf(), file, { ...wish, load: { contextLength: "long" } })).toThrow(
      /contextLength.*"long"/,
    );
    const broken = textOf((spec) => {
      spec.proxy.port = "x";
    });
    expect(withModel(broken, file, wish)).toContain("/models/b.gguf");
  });
});

describe("model remove and unload", () => {
  it("names what is there when the model is not", () => {
    expect(() => withoutModels(textOf(), file, ["x"])).toThrow(/no model x; it has Qwen3\.6-27B/);
  });

  it("refuses to leave a key that opens nothing", () => {
    const text = textOf((spec) => {
      spec.proxy.keys = [{ id: "team-a", models: ["Qwen3.6-27B"] }];
    });
    expect(() => withoutModels(text, file, ["Qwen3.6-27B"])).toThrow(/proxy\.keys\[0\]\.models\[0\]/);
  });

  it("may leave none, and takes one again afterwards", () => {
    const none = withoutModels(textOf(), file, undefined);
    expect(ids(none)).toEqual([]);
    expect(withoutModels(none, file, undefined)).toBe(none);
    expect(ids(withModel(none, file, wish))).toEqual(["b"]);
  });
});

describe("where a model comes from", () => {
  it.each([
    ["/models/b.gguf", { path: "/models/b.gguf" }],
    ["https://models.example/b.gguf", { url: "https://models.example/b.gguf" }],
    ["owner/repo/b.gguf@main", { hf: "owner/repo/b.gguf@main" }],
    ["owner/repo-4bit@main", { hf: "owner/repo-4bit@main" }],
    ["models/b.gguf", { path: "models/b.gguf" }],
  ])("is read from %s", (text, source) => {
    expect(sourceOf(text)).toEqual(source);
  });
});

describe("a file without a host", () => {
  it("is said to be one", () => {
    expect(() => withModel("config: {}", file, wish)).toThrow(/no lmstack:host.*lmstack serve/);
  });
});
