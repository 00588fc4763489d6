import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Host } from "../../../../hostctl/host.ts";
import {
  applyModelDefaults,
  mergeFields,
  modelDefaults,
  modelDefaultsDrift,
} from "../../../../hostctl/lmstudio/model-defaults.ts";

const load = { gpu: "max", contextLength: 4096, parallel: 1 } as const;
const path = "local/m/m.gguf";
const keys = ["llm.load.llama.flashAttention", "llm.load.seed", "llm.load.numExperts", "a"] as const;
const value = fc.oneof(
  fc.boolean(),
  fc.constantFrom("x", "y"),
  fc.record({ checked: fc.boolean(), value: fc.string() }),
);
const fields = fc.uniqueArray(fc.record({ key: fc.constantFrom(...keys), value }), { selector: ({ key }) => key });
const wishes = fc.dictionary(fc.constantFrom(...keys), value);

describe("a model's defaults in LM Studio", () => {
  test("that lmstack wrote are taken back, and what a person had stays", () => {
    fc.assert(
      fc.property(fields, wishes, wishes, (before, first, second) => {
        const one = mergeFields(before, {}, first);
        const two = mergeFields(one.fields, one.written, second);
        for (const [key, wanted] of Object.entries(second))
          expect(two.fields.find((field) => field.key === key)?.value).toEqual(wanted);
        for (const field of before) if (!(field.key in second)) expect(two.fields).toContainEqual(field);
        expect(mergeFields(two.fields, two.written, second).changes).toEqual([]);
        expect(mergeFields(two.fields, two.written, {}).fields).toEqual(before);
      }),
    );
  });

  test("that a person changed since are left to the person at removal", () => {
    const one = mergeFields([], {}, { a: true });
    expect(mergeFields([{ key: "a", value: "theirs" }], one.written, {}).fields).toEqual([
      { key: "a", value: "theirs" },
    ]);
  });

  test("have flash attention beside a quantised cache, whether the spec says so or not", () => {
    expect(modelDefaults({ ...load, kvCacheType: "q8_0" })).toEqual({
      "llm.load.llama.flashAttention": true,
      "llm.load.llama.kCacheQuantizationType": { checked: true, value: "q8_0" },
      "llm.load.llama.vCacheQuantizationType": { checked: true, value: "q8_0" },
    });
    expect(modelDefaults({ ...load, kvCacheType: "f16" })).not.toHaveProperty(["llm.load.llama.flashAttention"]);
    expect(modelDefaults(load)).toEqual({});
  });

  test("are merged into the file that is there, and a file of ours goes with its folders", async () => {
    const home = await mkdtemp(join(tmpdir(), "lmstack-defaults-"));
    const host = { paths: { lmstudio: home, state: join(home, "state") } } as unknown as Host;
    const file = join(home, ".internal/user-concrete-model-default-config", `${path}.json`);
    const wanted = modelDefaults({ ...load, flashAttention: false });
    try {
      await mkdir(join(home, ".internal"));
      expect(await applyModelDefaults(host, path, wanted)).toHaveLength(1);
      expect(await applyModelDefaults(host, path, wanted)).toEqual([]);
      expect(await modelDefaultsDrift(host, path, wanted)).toEqual([]);
      await applyModelDefaults(host, path, {});
      await expect(readFile(join(home, ".internal/user-concrete-model-default-config"))).rejects.toThrow("ENOENT");

      const theirs = { preset: "mine", operation: { fields: [{ key: "k", value: 1 }] }, more: [1] };
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, JSON.stringify(theirs));
      await applyModelDefaults(host, path, wanted);
      expect(JSON.parse(await readFile(file, "utf8"))).toEqual({
        ...theirs,
        load: { fields: [{ key: "llm.load.llama.flashAttention", value: false }] },
      });
      await writeFile(file, JSON.stringify(theirs));
      expect(await modelDefaultsDrift(host, path, wanted)).toEqual(["llm.load.llama.flashAttention"]);
      await writeFile(file, "{ half");
      await expect(applyModelDefaults(host, path, wanted)).rejects.toThrow(/does not hold a model's defaults/);
      expect(await readFile(file, "utf8")).toBe("{ half");
    } finally {
      await rm(home, { recursive: true });
    }
  });
});
