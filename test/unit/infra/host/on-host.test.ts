import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { create } from "tar";
import { afterEach, beforeEach, expect, test } from "vitest";

const script = fileURLToPath(new URL("../../../../infra/host/on-host.sh", import.meta.url));
let folder = "";
let home = "";
let cache = "";
const digest = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lmstack-on-host-"));
  home = join(folder, "it's home");
  cache = join(folder, ".lmstack", "cache");
  for (const path of [home, cache, join(folder, "infra")]) mkdirSync(path, { recursive: true });
  copyFileSync(script, join(folder, "infra", "on-host.sh"));
  // A "Node" that says how it was called and what it was given.
  const node = Buffer.from('#!/bin/sh\nshift\necho "$* <$(cat)>"\n');
  writeFileSync(join(cache, "node-1.gz"), gzipSync(node));
  writeFileSync(join(cache, "node-1.sha256"), digest(node));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function pack(hash: string): Promise<void> {
  const staging = mkdtempSync(join(folder, "pack-"));
  writeFileSync(join(staging, "hostctl.mjs"), hash);
  await create({ file: join(cache, `runtime-${hash}.tar`), cwd: staging, portable: true }, ["hostctl.mjs"]);
  writeFileSync(join(cache, `runtime-${hash}.sha256`), digest(readFileSync(join(cache, `runtime-${hash}.tar`))));
}

const onHost = (how: string, ...words: string[]) => {
  const result = spawnSync("sh", ["on-host.sh", how, "box", "-", ...words], {
    cwd: join(folder, "infra"),
    env: { PATH: process.env.PATH, HOME: home },
    input: '{"document":1}',
    encoding: "utf8",
  });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
};
const upload = (hash: string, token = "t.1") => onHost("local", "upload", hash, "node-1", token);
const at = (...path: string[]) => join(home, ".lmstack", ...path);

test("a runtime comes whole, is switched to in one step, and leaves its token", async () => {
  await pack("aaa");
  const { code, stdout, stderr } = upload("aaa");
  expect(stderr).toMatch(/uploading Node .*once[\s\S]*uploading hostctl/);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ ok: true, changed: [], token: "t.1" });
  expect(readlinkSync(at("current"))).toBe("runtime/aaa");
  expect(readFileSync(at("tokens", "runtime"), "utf8")).toBe("t.1");
  expect(readFileSync(at("stack"), "utf8")).toBe("box");
  expect(onHost("local", "converge", "model").stdout).toBe('converge model <{"document":1}>\n');
});

test("what the host has is not sent again, and only the runtime before is kept", async () => {
  for (const hash of ["aaa", "bbb", "ccc"]) await pack(hash);
  upload("aaa");
  expect(upload("aaa", "t.2").stderr).toBe("");
  upload("bbb");
  expect(upload("ccc").stderr).not.toContain("Node");
  expect(readdirSync(at("runtime")).sort()).toEqual(["bbb", "ccc", "node-1"]);
});

test("what a killed upload left is cleared away, what one that runs is writing is not", async () => {
  await pack("aaa");
  upload("aaa");
  const { pid } = spawnSync("true");
  mkdirSync(at("runtime", `.bbb.${pid}`));
  writeFileSync(at("runtime", `.node-1.${pid}`), "");
  writeFileSync(at("runtime", `.node-1.${process.pid}`), "");
  expect(upload("aaa").code).toBe(0);
  expect(readdirSync(at("runtime")).sort()).toEqual([`.node-1.${process.pid}`, "aaa", "node-1"]);
});

test("what arrives damaged never gets its final name", async () => {
  await pack("aaa");
  writeFileSync(join(cache, "runtime-aaa.sha256"), "0".repeat(64));
  const { code, stderr } = upload("aaa");
  expect(code).not.toBe(0);
  expect(stderr).toContain("damaged");
  expect(readdirSync(at("runtime"))).toEqual(["node-1"]);
  expect(existsSync(at("current"))).toBe(false);
});

test("removing from a host where nothing is left ends well; converging says what is missing", () => {
  expect(onHost("local", "remove", "model")).toMatchObject({
    code: 0,
    stderr: expect.stringContaining("nothing of lmstack"),
  });
  expect(onHost("local", "converge", "model")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("run pulumi up again"),
  });
});

test("a clone that never looked at the host says how it comes to its ssh configuration", () => {
  expect(onHost("ssh", "remove", "model")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("pulumi preview"),
  });
});

test("over ssh the very same script arrives, whatever is in it", async () => {
  await pack("aaa");
  mkdirSync(join(folder, ".lmstack", "box"));
  writeFileSync(join(folder, ".lmstack", "box", "ssh_config"), "");
  mkdirSync(join(folder, "bin"));
  // Like sshd: the words are joined and given to the login shell.
  writeFileSync(
    join(folder, "bin", "ssh"),
    '#!/bin/sh\n[ "$1 $2 $3" = "-F ../.lmstack/box/ssh_config lmstack" ] || exit 9\nshift 3\nexec sh -c "$*"\n',
  );
  chmodSync(join(folder, "bin", "ssh"), 0o755);
  const path = process.env.PATH;
  process.env.PATH = `${join(folder, "bin")}:${path}`;
  try {
    expect(onHost("ssh", "upload", "aaa", "node-1", "t.1").code).toBe(0);
    expect(onHost("ssh", "prove").stdout).toBe('prove <{"document":1}>\n');
  } finally {
    process.env.PATH = path;
  }
});
