/** Which host key a new stack pins, and what is understood of `--host`. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { bestKey, effectiveTarget, fingerprint, hostKeyOf, sshWords } from "../../../infra/cli/host-key.ts";
import { hostKey } from "../infra/spec/example.ts";

let folder: string;
let rsa: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstack-host-key-"));
  await execa("ssh-keygen", ["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", join(folder, "key")]);
  rsa = (await execa("cat", [join(folder, "key.pub")])).stdout.split(" ").slice(0, 2).join(" ");
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test("--host is read as ssh would: user, address of any kind, port", () => {
  expect(sshWords("gpu@10.0.0.5:2222")).toEqual({ words: ["-p", "2222", "-l", "gpu", "10.0.0.5"], host: "10.0.0.5" });
  expect(sshWords("box")).toEqual({ words: ["box"], host: "box" });
  expect(sshWords("me@[fe80::1]:22").host).toBe("fe80::1");
  expect(() => sshWords("-oProxyCommand=x")).toThrow(/expected \[user@\]host/);
  expect(() => sshWords("a b@@")).toThrow(/--host/);
});

test("what the operator's own ssh knows of the host counts: its address, port, user and jump host", () => {
  const said = "user gpu\nhostname 10.0.0.5\nport 2222\nproxyjump bastion\nuserknownhostsfile /a /b\n";
  expect(effectiveTarget("box", "box", said)).toMatchObject({
    ...{ host: "10.0.0.5", port: 2222, user: "gpu", proxyJump: "bastion", knownHosts: ["/a", "/b"] },
  });
});

test("the strongest kind of key is taken, and none that was revoked", () => {
  expect(bestKey(`# box\nbox ${rsa}\nbox ${hostKey}\n`)).toBe(hostKey);
  expect(bestKey(`@revoked box ${hostKey}\n|1|a=|b= ${rsa}\n`)).toBe(rsa);
  expect(bestKey("")).toBeUndefined();
});

test("the fingerprint is the one that ssh-keygen shows on the host", async () => {
  const { stdout } = await execa("ssh-keygen", ["-lf", join(folder, "key.pub")]);
  expect(stdout).toContain(fingerprint(rsa));
});

test("a host behind another one is never asked for its key past that one", async () => {
  const target = effectiveTarget("box", "box", "hostname box\nproxyjump bastion\n");
  await expect(hostKeyOf(target, true)).rejects.toThrow(/through bastion.*`ssh box` once/);
});

test("a host that shows no key is said to be away", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const target = effectiveTarget("box", "127.0.0.1", "hostname 127.0.0.1\nport 1\n");
  await expect(hostKeyOf(target, true)).rejects.toThrow(/127\.0\.0\.1 shows no host key on port 1/);
});
