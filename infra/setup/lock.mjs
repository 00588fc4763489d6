// One set-up at a time per thing that is built. The lock is a file that names its owner; the lock of a process that is gone
// is taken over, because a killed set-up must not block the next one.

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const POLL_MS = 500;

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

function owner(path) {
  try {
    return Number(readFileSync(path, "utf8")) || 0;
  } catch {
    return undefined;
  }
}

/** True when the lock is ours now. A dead owner's file is moved away first, which only one of several heirs can do. */
function take(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  const pid = owner(path);
  if (pid !== undefined && (pid === 0 || !alive(pid))) {
    const aside = `${path}.${process.pid}.stale`;
    try {
      renameSync(path, aside);
      // Between the look and the move another heir may have taken over: then it is a live lock that was moved, and goes back.
      const moved = owner(aside);
      if (moved !== undefined && moved !== pid && alive(moved)) renameSync(aside, path);
      else rmSync(aside, { force: true });
    } catch {
      // someone else was faster
    }
  }
  return false;
}

/** Runs `work` while holding the lock; `onWait(pid)` is called once when another set-up holds it. */
export async function withLock(path, onWait, work) {
  mkdirSync(dirname(path), { recursive: true });
  for (let waited = false; !take(path); ) {
    const pid = owner(path);
    if (!waited && pid !== undefined && alive(pid)) {
      onWait(pid);
      waited = true;
    }
    await wait(POLL_MS);
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}
