import { setImmediate } from "node:timers/promises";
import type { Dispatcher } from "undici";
import { beforeEach, expect, it, vi } from "vitest";
import { Catalog } from "../../../../proxy/upstream/catalog.ts";

let now: number;
let listed: unknown;
const request = vi.fn();
const catalog = () => new Catalog({ request } as unknown as Dispatcher, () => now);
const instances = (...ids: string[]) => ({ models: [{ loaded_instances: ids.map((id) => ({ id })) }] });

beforeEach(() => {
  now = 0;
  listed = instances("m");
  request.mockReset().mockImplementation(async () => ({ body: { json: async () => listed } }));
});

it("LM Studio is asked before the first request, and nothing lacks before it has answered", async () => {
  const models = catalog();
  expect(models.lacks("m")).toBe(false);
  await models.update("m");
  expect([models.lacks("m"), models.lacks("other")]).toEqual([false, true]);
});

it("a request goes on at once within a second, with a question beside it within five, and behind it later", async () => {
  const models = catalog();
  await models.update("m");
  for (const [ms, waits, asked] of [
    [999, false, 1],
    [1_000, false, 2],
    [6_000, true, 3],
  ] as const) {
    now = ms;
    const update = models.update("m");
    expect([update !== undefined, request.mock.calls.length]).toEqual([waits, asked]);
    await update;
    await setImmediate();
  }
});

it("a model that was not there is asked for anew, by all who ask together once", async () => {
  listed = instances();
  const models = catalog();
  await models.update("m");
  expect(models.lacks("m")).toBe(true);
  listed = instances("m");
  expect(models.update("m")).toBeUndefined();
  now = 1_000;
  await Promise.all([models.update("m"), models.update("m")]);
  expect([models.lacks("m"), request.mock.calls.length]).toEqual([false, 2]);
});

it("an LM Studio that is gone lacks nothing, and is asked again by the next request", async () => {
  listed = instances();
  const models = catalog();
  await models.update("m");
  request.mockRejectedValueOnce(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
  now = 1_000;
  await models.update("m");
  expect(models.lacks("m")).toBe(false);
  await models.update("m");
  expect([models.lacks("m"), request.mock.calls.length]).toEqual([true, 3]);
});

it("after a failure of LM Studio the next request asks first", async () => {
  const models = catalog();
  await models.update("m");
  models.doubt();
  listed = instances();
  await models.update("m");
  expect([models.lacks("m"), models.update("m")]).toEqual([true, undefined]);
});

it("one that has no such list lacks nothing, and is not asked by every request", async () => {
  listed = { error: "Unexpected endpoint or method." };
  const models = catalog();
  await models.update("m");
  expect([models.lacks("m"), models.update("m")]).toEqual([false, undefined]);
});

it("one that did not answer in time still says what it said", async () => {
  listed = instances();
  const models = catalog();
  await models.update("m");
  vi.spyOn(AbortSignal, "timeout").mockReturnValue(AbortSignal.abort());
  request.mockImplementationOnce(async ({ signal }: { signal: AbortSignal }) => signal.throwIfAborted());
  now = 1_000;
  await models.update("m");
  expect(models.lacks("m")).toBe(true);
});

it("one that takes long to answer keeps nobody waiting for it, and still says what it said", async () => {
  listed = instances();
  const models = catalog();
  await models.update("m");
  request.mockReturnValueOnce(new Promise(() => {}));
  now = 1_000;
  await models.update("m");
  expect(models.lacks("m")).toBe(true);
});
