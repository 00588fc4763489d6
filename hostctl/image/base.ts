/** A base image from this very host: the loader and the libraries that Node needs, and the few files that a glibc program expects. */
import { createHash } from "node:crypto";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { run } from "../command.ts";
import { errno, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";

/** Loaded by name while a program runs, so that `ldd` does not list them: name service, and what `nvidia-smi` asks for. */
const siblingsOfLibc = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "librt.so.1"];
const certificates = "/etc/ssl/certs/ca-certificates.crt";

const texts: Readonly<Record<string, string>> = {
  "/etc/passwd": "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n",
  "/etc/group": "root:x:0:\nnonroot:x:65532:\n",
  "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
};

/** Absolute paths of the libraries that `ldd` prints, the loader included. */
export function parseLdd(output: string): { readonly files: string[]; readonly missing: string[] } {
  const files: string[] = [];
  const missing: string[] = [];
  for (const line of output.split("\n")) {
    const absent = /^\s*(\S+) => not found/.exec(line)?.[1];
    if (absent !== undefined) missing.push(absent);
    const found = /(?:^|=>)\s*(\/\S+) \(0x[0-9a-f]+\)\s*$/.exec(line)?.[1];
    if (found !== undefined) files.push(found);
  }
  return { files: [...new Set(files)], missing };
}

/** What of this host goes into a local base for `node`, by absolute path. */
export async function localBaseFiles(host: Host, node: string): Promise<string[]> {
  const outcome = await run(host, "ldd", [node], { timeoutMs: 10_000 });
  const { files, missing } = parseLdd(outcome.stdout);
  if (missing.length > 0 || files.length === 0) {
    const found =
      missing.length > 0 ? `${missing.join(", ")} not found` : outcome.stderr.trim() || "no libraries listed";
    throw new HostFailure(
      "file_missing",
      `ldd ${node}: ${found}`,
      "install the missing library (Debian: libatomic1, libstdc++6) and run up again",
    );
  }
  const libc = files.find((file) => basename(file) === "libc.so.6");
  const optional = [
    ...(libc === undefined ? [] : siblingsOfLibc.map((name) => join(dirname(libc), name))),
    certificates,
  ];
  const present = await Promise.all(optional.map(async (file) => ((await exists(file)) ? [file] : [])));
  return [...new Set([...files, ...present.flat()])].sort();
}

/** Makes the base unless Docker has it already. @returns its reference, which names its content */
export async function ensureLocalBase(host: Host, docker: string, node: string, scratch: string): Promise<string> {
  const files = await localBaseFiles(host, node);
  const reference = `lmstack-proxy-base:${await contentHash(files)}`;
  const inspected = await run(host, docker, ["image", "inspect", reference], { timeoutMs: 30_000 });
  if (inspected.code === 0) return reference;
  host.say("proxy image: making a base from this host's own libraries");
  const folder = await mkdtemp(join(scratch, "proxy-base-"));
  try {
    const root = join(folder, "root");
    await layOut(root, files);
    const archive = join(folder, "root.tar");
    // Everything belongs to root inside, and /tmp keeps its mode: a tmpfs that is mounted there takes it over.
    const packed = await run(host, "tar", ["--owner=0", "--group=0", "-cf", archive, "-C", root, "."], {
      timeoutMs: 60_000,
    });
    if (packed.code !== 0) {
      throw new HostFailure(
        "internal",
        `tar of the proxy's base failed: ${packed.stderr.trim()}`,
        "look at the free space on the host",
      );
    }
    const imported = await run(host, docker, ["import", archive, reference], { timeoutMs: 120_000 });
    if (imported.code !== 0) {
      throw new HostFailure(
        "docker_unavailable",
        `docker import failed: ${imported.stderr.trim()}`,
        "look at `docker info` on the host",
      );
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return reference;
}

async function layOut(root: string, files: readonly string[]): Promise<void> {
  for (const file of files) {
    const target = join(root, file);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(file, target);
    await chmod(target, 0o755);
  }
  for (const [file, text] of Object.entries(texts)) {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), text, { mode: 0o644 });
  }
  await mkdir(join(root, "tmp"));
  await chmod(join(root, "tmp"), 0o1777);
}

async function contentHash(files: readonly string[]): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify(texts));
  for (const file of files) hash.update(`${file}\n`).update(await readFile(file));
  return hash.digest("hex").slice(0, 12);
}

async function exists(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile();
  } catch (error) {
    if (errno(error) === "ENOENT") return false;
    throw error;
  }
}
