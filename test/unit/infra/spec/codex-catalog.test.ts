import fc from "fast-check";
import { expect, test } from "vitest";
import { catalogEntries, type ServedModel } from "../../../../infra/spec/codex-catalog.ts";

const model = (change: Partial<ServedModel> = {}): ServedModel => ({
  id: "m",
  contextLength: 32_768,
  thinking: "off",
  ...change,
});
const efforts = (change: Partial<ServedModel>) =>
  Object.fromEntries(
    catalogEntries(model(change), true).map(({ slug, supported_reasoning_levels, default_reasoning_level }) => [
      slug,
      [(supported_reasoning_levels as { effort: string }[]).map(({ effort }) => effort), default_reasoning_level],
    ]),
  );

test("in every window, compaction leaves room for one tool's output and the answer, and a turn fits below it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 256, max: 16_777_216 }), (contextLength) => {
      for (const entry of catalogEntries(model({ contextLength }), true)) {
        const limit = entry.auto_compact_token_limit as number;
        const output = (entry.truncation_policy as { limit: number }).limit;
        expect(limit + 2 * output).toBeLessThanOrEqual(contextLength);
        expect(limit).toBeGreaterThanOrEqual(contextLength / 2);
        expect(limit).toBeLessThanOrEqual(contextLength * 0.9);
        expect(entry.max_context_window).toBe(contextLength);
      }
    }),
  );
});

test("efforts are LM Studio's own, for each name those among which it can choose", () => {
  expect(efforts({ thinking: "client", reasoning: ["off", "low", "high"], reasoningDefault: "high" })).toEqual({
    m: [["none", "low", "high"], "high"],
    "m:think": [["low", "high"], "high"],
    "m:no-think": [[], undefined],
  });
  expect(efforts({ thinking: "client", reasoning: ["off", "on"], reasoningDefault: "on" }).m).toEqual([
    ["none", "medium"],
    "medium",
  ]);
  expect(efforts({ thinking: "off", reasoning: ["off", "on"] })).toEqual({
    m: [[], undefined],
    "m:think": [[], undefined],
    "m:no-think": [[], undefined],
  });
  expect(efforts({ thinking: "on" }).m).toEqual([[], undefined]);
});

test("images are offered to a model that sees, apply_patch where tools are translated", () => {
  const [entry] = catalogEntries(model({ vision: true }), false);
  expect(entry).toMatchObject({ input_modalities: ["text", "image"] });
  expect(entry).not.toHaveProperty("apply_patch_tool_type");
  for (const unset of ["tool_mode", "use_responses_lite"]) expect(entry).not.toHaveProperty(unset);
});

test("a model that is really called like an alias keeps its name to itself", () => {
  const slugs = catalogEntries(model(), true, (name) => name === "m:think").map(({ slug }) => slug);
  expect(slugs).toEqual(["m", "m:no-think"]);
});
