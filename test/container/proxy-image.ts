/** The image that hostctl builds on a host, built here by the same code. */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { hostAt } from "../../hostctl/host.ts";
import { buildProxyImage } from "../../hostctl/image/build.ts";
import { bundleProxy } from "../../infra/host/bundle.ts";

const dockerfile = join(import.meta.dirname, "../../images/proxy/Dockerfile");

/** @returns the image's tag; an image of the same content is not built again */
export async function ensureProxyImage(): Promise<string> {
  const program = await bundleProxy();
  const hash = createHash("sha256")
    .update(program)
    .update(await readFile(dockerfile));
  hash.update(`${process.version} ${process.arch} ${(await stat(process.execPath)).size}`);
  const tag = `lmstack-proxy:test-${hash.digest("hex").slice(0, 12)}`;
  const scratch = await mkdtemp(join(tmpdir(), "lmstack-container-"));
  try {
    const file = join(scratch, "proxy.mjs");
    await writeFile(file, program);
    const host = hostAt(scratch, (line) => console.log(line));
    const known = await tags();
    await buildProxyImage(host, { contextFiles: { node: process.execPath, program: file, dockerfile }, tag, scratch });
    // Earlier contents are of no use to anybody; the base and the layer with Node stay, because this image needs them.
    for (const old of known.filter((name) => name !== tag)) await execa("docker", ["rmi", old], { reject: false });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return tag;
}

async function tags(): Promise<string[]> {
  const { stdout } = await execa("docker", [
    "images",
    "--format",
    "{{.Repository}}:{{.Tag}}",
    "--filter",
    "reference=lmstack-proxy:test-*",
  ]);
  return stdout.split("\n").filter((line) => line !== "");
}
