import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Host, hostAt } from "../../../hostctl/host.ts";
import { hostLock, lockByFile, tryLock, withLock } from "../../../hostctl/lock.ts";

let host: Host;
let said: string[];

beforeEach(async () => {
  said = [];
  host = hostAt(await mkdtemp(join(tmpdir(), "lmstack-lock-")), (line) => said.push(line));
});
afterEach(() => rm(host.home, { recursive: true }));

test("a second one waits, says for whom, and then has its turn", async () => {
  const order: string[] = [];
  let finish = () => {};
  const first = withLock(host, hostLock, "converge lmstudio", async () => {
    order.push("first begins");
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    order.push("first ends");
  });
  await expect.poll(() => order).toEqual(["first begins"]);
  const second = withLock(host, hostLock, "converge model", async () => order.push("second"));
  await expect.poll(() => said.join()).toContain("converge lmstudio");
  finish();
  await Promise.all([first, second]);
  expect(order).toEqual(["first begins", "first ends", "second"]);
  const log = await readFile(join(host.paths.logs, "changes.log"), "utf8");
  expect(log.split("\n").map((line) => line.split(" ").slice(1, 2).join())).toEqual([
    "begin",
    "end",
    "begin",
    "end",
    "",
  ]);
});

test("one that waited too long gives up with who was in the way", async () => {
  const release = await tryLock(host, hostLock);
  const waiting = withLock(host, hostLock, "remove model", async () => {}, 300);
  await expect(waiting).rejects.toMatchObject({ code: "busy" });
  await release?.();
});

test("the kernel frees the lock of a process that was killed", async () => {
  const script = `import { tryLock } from ${JSON.stringify(join(import.meta.dirname, "../../../hostctl/lock.ts"))};
    import { hostAt } from ${JSON.stringify(join(import.meta.dirname, "../../../hostctl/host.ts"))};
    await tryLock(hostAt(${JSON.stringify(host.home)}, () => {}), "host"); console.log("held"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  expect(await tryLock(host, hostLock)).toBeNull();
  child.kill("SIGKILL");
  await once(child, "exit");
  const release = await tryLock(host, hostLock);
  expect(release).not.toBeNull();
  await release?.();
});

test("locks of another home or name are free", async () => {
  const release = await tryLock(host, hostLock);
  const other = await tryLock(host, "model-file-x");
  expect(other).not.toBeNull();
  await Promise.all([release?.(), other?.()]);
});

test("without abstract sockets an exclusively opened file is the lock", () => {
  const flags: number[] = [];
  const taken = Object.assign(new Error("taken"), { code: "EAGAIN" });
  const open = ((_path: string, flag: number) => {
    flags.push(flag);
    throw taken;
  }) as unknown as Parameters<typeof lockByFile>[2];
  expect(lockByFile(host, "host", open)).toBeNull();
  // O_EXLOCK of the BSDs.
  expect((flags[0] ?? 0) & 0x20).toBe(0x20);
});
