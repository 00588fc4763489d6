/** Builds the proxy's image on the host, from the runtime that lies there already. */
import { chmod, copyFile, link, mkdir, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { lastLine, run } from "../command.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { ensureLocalBase, localBaseFiles } from "./base.ts";

export interface ProxyImageRequest {
  /** Absolute paths on this host. */
  readonly contextFiles: { readonly node: string; readonly program: string; readonly dockerfile: string };
  /** `lmstack-proxy:<content>`: an image of that name is taken as built. */
  readonly tag: string;
  /** Folder for the build context; on the file system of `node` its bytes are not copied. */
  readonly scratch: string;
  /** Program to call; default `docker`. */
  readonly docker?: string;
}

export interface ProxyImage {
  readonly imageId: string;
  /** Base that was built on; null when the image was there already. */
  readonly base: string | null;
}

const pullMilliseconds = 5_000;
const buildMilliseconds = 300_000;

/**
 * Idempotent and safe to kill: the name is given last, to an image that has been seen to start. The official base is used where it is
 * present or can be pulled within five seconds, else one made from the host's own libraries.
 */
export async function buildProxyImage(host: Host, request: ProxyImageRequest): Promise<ProxyImage> {
  const docker = request.docker ?? "docker";
  const present = await imageId(host, docker, request.tag);
  if (present !== undefined) return { imageId: present, base: null };
  await mkdir(request.scratch, { recursive: true });
  const context = await mkdtemp(join(request.scratch, "proxy-image-"));
  try {
    await layOutContext(host, context, request.contextFiles);
    const official = officialBase(await readFile(request.contextFiles.dockerfile, "utf8"));
    if (await obtainable(host, docker, official)) {
      const built = await tryBuild(host, docker, context, official);
      if (built.ok) return await name(host, docker, built.id, request.tag, official);
      host.say(`proxy image: ${official} does not do on this host (${built.reason})`);
    }
    const local = await ensureLocalBase(host, docker, request.contextFiles.node, request.scratch);
    const built = await tryBuild(host, docker, context, local);
    if (!built.ok) throw buildFailure(request.tag, built.reason);
    return await name(host, docker, built.id, request.tag, local);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

/** The default of `ARG BASE` is the one place that names the official image. */
export function officialBase(dockerfile: string): string {
  const base = /^ARG BASE=(\S+)$/m.exec(dockerfile)?.[1];
  if (base === undefined)
    throw new HostFailure(
      "internal",
      "the proxy's Dockerfile has no default for BASE",
      "upload the runtime again: run up",
    );
  return base;
}

async function imageId(host: Host, docker: string, reference: string): Promise<string | undefined> {
  const outcome = await run(host, docker, ["image", "inspect", "--format", "{{.Id}}", reference], {
    timeoutMs: 30_000,
  });
  if (outcome.code === 0) return outcome.stdout.trim();
  if (/no such image/i.test(outcome.stderr)) return undefined;
  throw new HostFailure(
    "docker_unavailable",
    `docker cannot be used by ${host.user}: ${lastLine(outcome.stderr) || "no answer within 30 s"}`,
    "run `npx lmstack host prepare` for this host, or set proxy.runtime: native",
  );
}

async function obtainable(host: Host, docker: string, base: string): Promise<boolean> {
  if ((await imageId(host, docker, base)) !== undefined) return true;
  host.say("proxy image: asking for the official base, five seconds at most");
  return (await run(host, docker, ["pull", "--quiet", base], { timeoutMs: pullMilliseconds })).code === 0;
}

async function layOutContext(host: Host, context: string, files: ProxyImageRequest["contextFiles"]): Promise<void> {
  await place(files.node, join(context, "node"), 0o755);
  await place(files.program, join(context, "proxy.mjs"), 0o644);
  await place(files.dockerfile, join(context, "Dockerfile"), 0o644);
  const libraries = join(context, "lib");
  await mkdir(libraries);
  for (const file of await localBaseFiles(host, files.node)) {
    if (basename(file).startsWith("libatomic.")) await place(file, join(libraries, basename(file)), 0o755);
  }
}

/** A hard link where its mode fits and the file system lets us: Node weighs 150 MB. */
async function place(source: string, target: string, mode: number): Promise<void> {
  if (((await stat(source)).mode & 0o777) === mode) {
    try {
      await link(source, target);
      return;
    } catch {
      // Another file system, or a file of somebody else's: copy.
    }
  }
  await copyFile(source, target);
  await chmod(target, mode);
}

type Built = { readonly ok: true; readonly id: string } | { readonly ok: false; readonly reason: string };

/** Built, and seen to run as it will be run: with another user, nothing writable, no capability. */
async function tryBuild(host: Host, docker: string, context: string, base: string): Promise<Built> {
  host.say(`proxy image: building on ${base.split("@")[0]}`);
  const args = ["build", "--quiet", "--network", "none", "--build-arg", `BASE=${base}`, context];
  const built = await run(host, docker, args, { timeoutMs: buildMilliseconds });
  if (built.code !== 0)
    return { ok: false, reason: lastLine(built.stderr) || `no end within ${buildMilliseconds / 1000} s` };
  const id = lastLine(built.stdout);
  const hardened = ["--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
  const tried = await run(host, docker, ["run", "--rm", ...hardened, "--user", "54321:54321", id, "--help"], {
    timeoutMs: 60_000,
  });
  if (tried.code !== 0) {
    await run(host, docker, ["rmi", id], { timeoutMs: 30_000 });
    return { ok: false, reason: lastLine(tried.stderr) || "it does not start" };
  }
  return { ok: true, id };
}

async function name(host: Host, docker: string, id: string, tag: string, base: string): Promise<ProxyImage> {
  const tagged = await run(host, docker, ["tag", id, tag], { timeoutMs: 30_000 });
  if (tagged.code !== 0) throw buildFailure(tag, lastLine(tagged.stderr));
  return { imageId: id, base };
}

function buildFailure(tag: string, reason: string): HostFailure {
  if (/no space left/i.test(reason))
    return new HostFailure(
      "disk_full",
      `${tag} could not be built: ${reason}`,
      "free some space for Docker, then run up again",
    );
  return new HostFailure(
    "docker_unavailable",
    `${tag} could not be built: ${reason}`,
    "look at `docker info` on the host, then run up again",
  );
}
