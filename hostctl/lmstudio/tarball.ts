/** LM Studio's archive: fetched with resume, verified, unpacked beside; nothing of LM Studio is touched. */
import { createReadStream } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { extract } from "tar";
import type { LmstudioDocument } from "../../infra/spec/host-documents.ts";
import { archiveTimes } from "../../infra/spec/space.ts";
import { hashFile } from "../checksum.ts";
import { HostFailure } from "../failure.ts";
import { type Host, paced } from "../host.ts";
import { shown } from "../transfer/exchange.ts";
import { fetchVerified, progressLine } from "../transfer/fetch.ts";
import { Rate } from "../transfer/pace.ts";

/** @returns the folder that holds the verified version */
export async function stageTarball(host: Host, document: LmstudioDocument, sha512: string): Promise<string> {
  const tarball = document.url.startsWith("file:")
    ? await verifyTarball(host, document, sha512)
    : await fetchTarball(host, document, sha512);
  host.say(`unpacking LM Studio ${document.version}`);
  const staging = join(host.paths.downloads, `llmster-${document.version}.unpacked`);
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { recursive: true, mode: 0o700 });
  await pipeline(createReadStream(tarball), extract({ cwd: staging }));
  return staging;
}

async function verifyTarball(host: Host, { url, version }: LmstudioDocument, sha512: string): Promise<string> {
  const tarball = fileURLToPath(url);
  if (!(await stat(tarball).catch(() => null))?.isFile()) {
    throw new HostFailure(
      "file_missing",
      `LM Studio's tarball is not there: ${tarball}`,
      "correct lmstudio.url in the spec",
    );
  }
  host.say(`verifying LM Studio ${version}`);
  const digest = await hashFile(tarball, "sha512");
  if (digest === sha512.toLowerCase()) return tarball;
  throw new HostFailure(
    "checksum_mismatch",
    `LM Studio's tarball ${shown(url)} has sha512 ${digest}, but the spec says ${sha512}`,
    "correct lmstudio.sha512 or lmstudio.version in the spec; nothing was installed",
  );
}

/** What a cut left behind is gone on with, from whichever mirror has it. */
async function fetchTarball(host: Host, document: LmstudioDocument, sha512: string): Promise<string> {
  const part = join(host.paths.downloads, `llmster-${document.version}.tar.gz.part`);
  await mkdir(host.paths.downloads, { recursive: true, mode: 0o700 });
  const say = paced(host.say);
  const rate = new Rate();
  const order = {
    what: `LM Studio ${document.version}`,
    urls: [document.url, ...(document.mirrors ?? [])] as const,
    digest: { algorithm: "sha512", hex: sha512.toLowerCase() } as const,
  };
  await fetchVerified(order, part, {
    spaceFactor: archiveTimes,
    onProgress: (progress) => {
      rate.see(progress.received, performance.now());
      say(progressLine("LM Studio", progress, rate.perSecond()));
    },
  });
  return part;
}

/** Archives and what was unpacked of them, of this version and of any whose install was broken off. */
export async function dropTarballs(host: Host): Promise<void> {
  // A model may be called so too.
  for (const name of await readdir(host.paths.downloads).catch(() => []))
    if (/^llmster-.*\.(unpacked|tar\.gz\.part(\.json)?)$/.test(name))
      await rm(join(host.paths.downloads, name), { recursive: true, force: true });
}
