import { realpath } from "node:fs/promises";
import { join } from "node:path";
import type { Change, ProxyImageDocument } from "../../infra/spec/host-documents.ts";
import { lastLine } from "../command.ts";
import { docker, dockerOrFail, rememberedImage, rememberImage } from "../docker.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { buildProxyImage } from "../image/build.ts";
import { dropToken, storeToken } from "../tokens.ts";

export interface ProxyImage {
  readonly imageId: string;
}

export async function convergeProxyImage(
  host: Host,
  document: ProxyImageDocument,
): Promise<{ changes: Change[]; observed: ProxyImage }> {
  await dockerOrFail(host, ["version", "--format", "{{.Server.Version}}"], 10_000);
  const before = await rememberedImage(host);
  const imageId =
    document.reference === undefined ? await built(host, document.contentHash) : await pulled(host, document.reference);
  await rememberImage(host, imageId);
  await storeToken(host, "proxy-image", document.token);
  const changes = before === imageId ? [] : [{ what: "proxy image", from: before, to: imageId }];
  return { changes, observed: { imageId } };
}

async function built(host: Host, contentHash: string): Promise<string> {
  const contextFiles = {
    node: await realpath(host.program.node),
    program: await realpath(host.program.proxy),
    dockerfile: join(host.paths.current, "images", "proxy", "Dockerfile"),
  };
  const tag = `lmstack-proxy:${contentHash.slice(0, 12)}`;
  return (await buildProxyImage(host, { contextFiles, tag, scratch: join(host.paths.root, "scratch") })).imageId;
}

async function pulled(host: Host, reference: string): Promise<string> {
  const idOf = () => docker(host, ["image", "inspect", "--format", "{{.Id}}", reference]);
  const known = await idOf();
  if (known.code === 0) return known.stdout.trim();
  host.say(`pulling ${reference}`);
  const pull = await docker(host, ["pull", "-q", reference], 600_000);
  const after = await idOf();
  if (after.code === 0) return after.stdout.trim();
  throw new HostFailure(
    "docker_unavailable",
    `${reference} could not be pulled: ${lastLine(pull.stderr) || "no answer in time"}`,
    "correct proxy.image in the spec, or leave it out to build on the host",
  );
}

/** Of 150 MB each. Docker itself refuses to remove, without force, one that a container uses. */
export async function removeOlderImages(host: Host): Promise<void> {
  const current = await rememberedImage(host);
  if (current === null) return;
  for (const id of await builtImages(host, [`before=${current}`])) await docker(host, ["rmi", id], 60_000);
}

/** Without Docker there are none. */
async function builtImages(host: Host, filters: readonly string[]): Promise<string[]> {
  const words = ["reference=lmstack-proxy", ...filters].flatMap((filter) => ["--filter", filter]);
  const listed = await docker(host, ["images", "-q", "--no-trunc", ...words]);
  return listed.code === 0 ? listed.stdout.split("\n").filter((id) => id !== "") : [];
}

/** The image goes with everything that was built for it, unless a container still uses it. */
export async function removeProxyImage(host: Host): Promise<void> {
  const imageId = await rememberedImage(host);
  const built = await builtImages(host, ["reference=lmstack-proxy-base"]);
  const ids = new Set([...(imageId === null ? [] : [imageId]), ...built]);
  for (const id of ids) {
    const outcome = await docker(host, ["rmi", "-f", id], 60_000);
    if (outcome.code !== null && outcome.code !== 0 && !/no such image/i.test(outcome.stderr))
      host.say(`note: image ${id.slice(0, 19)} stays: ${lastLine(outcome.stderr)}`);
  }
  await rememberImage(host, null);
  await dropToken(host, "proxy-image");
}
