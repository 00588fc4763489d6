import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hostAt } from "../../../hostctl/host.ts";
import { shortenLogs } from "../../../hostctl/logs.ts";

test("a log that grew too long is kept once and cut, and whoever writes it goes on in the short one", async () => {
  const home = await mkdtemp(join(tmpdir(), "logs & more "));
  const host = hostAt(home, () => {});
  const log = join(host.paths.logs, "lmstack-proxy.log");
  await shortenLogs(host);
  await mkdir(host.paths.logs, { recursive: true });
  // As launchd opens it.
  const fd = openSync(log, "a");
  try {
    writeSync(fd, "short\n");
    await shortenLogs(host, 10);
    expect(readFileSync(log, "utf8")).toBe("short\n");
    writeSync(fd, "and longer\n");
    await shortenLogs(host, 10);
    writeSync(fd, "after\n");
    expect(readFileSync(log, "utf8")).toBe("after\n");
    expect(readFileSync(`${log}.1`, "utf8")).toBe("short\nand longer\n");
  } finally {
    closeSync(fd);
    await rm(home, { recursive: true });
  }
});
