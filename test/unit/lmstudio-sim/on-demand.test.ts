import { expect, test } from "vitest";
import { startSimServer } from "../../lmstudio-sim/index.ts";
import { off, served } from "./served.ts";

const { journal, post } = served();

test("a request for a model that is not loaded loads it, once for two at a time", async () => {
  const body = { model: "idle", input: "hi", ...off };
  const [one, two] = await Promise.all([post("/v1/responses", body), post("/v1/responses", body)]);
  expect([one.status, two.status]).toEqual([200, 200]);
  expect(journal().filter((entry) => entry.event === "load" && entry.jit)).toHaveLength(1);
});

test("with loading on demand off only what is loaded is listed or answered", async () => {
  await using strict = await startSimServer({
    models: [{ id: "a" }, { id: "b", loaded: false }],
    settings: { justInTimeModelLoading: false },
  });
  expect(await (await fetch(`${strict.url}/v1/models`)).json()).toMatchObject({ data: [{ id: "a" }] });
  expect(
    (await fetch(`${strict.url}/v1/responses`, { method: "POST", body: JSON.stringify({ model: "b", input: "" }) }))
      .status,
  ).toBe(404);
});
