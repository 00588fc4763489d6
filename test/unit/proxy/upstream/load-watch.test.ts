import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { LoadWatch } from "../../../../proxy/upstream/load-watch.ts";

let askedAt: number;
let awaited: boolean;
const loaded = vi.fn();
const watch = () => {
  const catalog = {
    loaded,
    get age() {
      return Date.now() - askedAt;
    },
  };
  return new LoadWatch(catalog, () => awaited);
};

beforeEach(() => {
  vi.useFakeTimers();
  askedAt = Date.now();
  awaited = true;
  loaded.mockReset().mockImplementation(async () => {
    askedAt = Date.now();
    return new Map();
  });
});
afterEach(() => vi.useRealTimers());

it("LM Studio is asked once a second while somebody waits, however often somebody comes, and then no more", async () => {
  const watching = watch();
  for (let tenths = 0; tenths < 50; tenths++) {
    watching.look();
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(loaded).toHaveBeenCalledTimes(5);
  awaited = false;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(loaded).toHaveBeenCalledTimes(6);
  expect(vi.getTimerCount()).toBe(0);
});

it("one that does not answer is asked again", async () => {
  loaded.mockImplementation(async () => {
    askedAt = Date.now();
    throw new Error("gone");
  });
  watch().look();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(loaded).toHaveBeenCalledTimes(3);
});

it("nobody is asked once the proxy ends", async () => {
  const ending = [watch(), watch()];
  ending[0]?.look();
  for (const watching of ending) {
    watching.close();
    watching.look();
  }
  await vi.advanceTimersByTimeAsync(3_000);
  expect(loaded).not.toHaveBeenCalled();
});
