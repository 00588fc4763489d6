/** What launchd will read, checked by libplist's own parser, which reads property lists as Apple's does. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { parse } from "plist";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Host, hostAt } from "../../hostctl/host.ts";
import { proxyService, supervisorService } from "../../hostctl/service/service.ts";

let folder: string;
let host: Host;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "plists-"));
  host = { ...hostAt("/Users/g & <p>", () => {}), platform: "darwin", ownHome: true, user: "g" };
});
afterAll(() => rm(folder, { recursive: true }));

/** Through libplist's own binary form and back; rejects what it cannot read. */
async function plistutil(text: string): Promise<unknown> {
  const [file, binary] = [join(folder, "job.plist"), join(folder, "job.bin")];
  await writeFile(file, text);
  // It ends with 0 even when it wrote nothing.
  await rm(binary, { force: true });
  await execa("plistutil", ["-i", file, "-o", binary]);
  return parse((await execa("plistutil", ["-i", binary])).stdout);
}

test.each(["sudo", "none"] as const)("both jobs of a Mac with become: %s are sound property lists", async (become) => {
  for (const service of [supervisorService(host, become), proxyService(host, become, 600)]) {
    expect(service.flavour).toBe("launchd");
    const job = await plistutil(service.wantedText ?? "");
    expect(job).toMatchObject({ KeepAlive: true, RunAtLoad: true, WorkingDirectory: "/Users/g & <p>" });
  }
  const proxy = await plistutil(proxyService(host, become, 600).wantedText ?? "");
  // Longer than the proxy lets answers run on.
  expect(proxy).toMatchObject({ ExitTimeOut: 610 });
});

test("the checker finds a broken one", async () => {
  await expect(plistutil("<plist><dict><key>Label</key></plist>")).rejects.toThrow();
});
