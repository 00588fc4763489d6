import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { withLock } from "../../../infra/setup/lock.mjs";

let folder: string;
let lock: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lmstack-lock-"));
  lock = join(folder, "nested", "engine.lock");
});
afterEach(() => rmSync(folder, { recursive: true }));

test("two set-ups take turns, and the second says for whom it waits", async () => {
  const steps: string[] = [];
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const waited = vi.fn<(pid: number) => void>();
  const first = withLock(lock, waited, async () => {
    steps.push("first in");
    await held;
    steps.push("first out");
  });
  const second = withLock(lock, waited, async () => steps.push("second in"));
  await vi.waitFor(() => expect(waited).toHaveBeenCalledExactlyOnceWith(process.pid));
  release();
  await Promise.all([first, second]);
  expect(steps).toEqual(["first in", "first out", "second in"]);
  expect(existsSync(lock)).toBe(false);
});

test("the lock of a process that is gone is taken over", async () => {
  await withLock(
    lock,
    () => {},
    async () => {},
  );
  writeFileSync(lock, String(spawnSync("true").pid));
  const waited = vi.fn();
  expect(await withLock(lock, waited, async () => "built")).toBe("built");
  expect(waited).not.toHaveBeenCalled();
});

test("the lock of a living process is respected until that process ends", async () => {
  await withLock(
    lock,
    () => {},
    async () => {},
  );
  const other = spawn("sleep", ["60"]);
  writeFileSync(lock, String(other.pid));
  let entered = false;
  const ours = withLock(
    lock,
    () => {
      expect(entered).toBe(false);
      other.kill();
    },
    async () => {
      entered = true;
    },
  );
  await ours;
  expect(other.killed).toBe(true);
});

test("work that fails gives the lock back", async () => {
  const failing = withLock(
    lock,
    () => {},
    async () => {
      throw new Error("no disk");
    },
  );
  await expect(failing).rejects.toThrow("no disk");
  expect(existsSync(lock)).toBe(false);
});
