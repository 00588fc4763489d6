/** Builds the image of a test host, once per content. */
import { createHash } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { sudoersDropIn } from "../../infra/cli/prepare/sudoers.ts";
import { ensureBase, type Flavour } from "./base.ts";
import { imageExists } from "./docker.ts";
import { type Progress, streaming } from "./progress.ts";

/** Stage of images/test-host/Dockerfile: nothing prepared, prepared without Docker, everything; prepared for a gateway alone. */
export type Stage = "bare" | "plain" | "docker" | "gateway";

export const user = "gpu";

const source = join(import.meta.dirname, "../../images/test-host");

/** @returns the image's reference; present means that it is not built again */
export async function ensureHostImage(flavour: Flavour, stage: Stage, onProgress: Progress): Promise<string> {
  const base = await ensureBase(flavour, onProgress);
  const image = `lmstack-test-host:${flavour}-${stage}-${await contentHash(base)}`;
  if (await imageExists(image)) return image;
  const context = await mkdtemp(join(tmpdir(), "lmstack-test-host-"));
  try {
    await cp(source, context, { recursive: true });
    await writeFile(join(context, "sudoers"), sudoersDropIn(user));
    await streaming(
      onProgress,
      `building ${image}`,
      // The host's network: the packages come from wherever this machine itself gets them, whatever its name servers are.
      execa(
        "docker",
        ["build", "--network", "host", "--target", stage, "--build-arg", `BASE=${base}`, "--tag", image, context],
        {
          all: true,
          reject: false,
        },
      ),
    );
  } finally {
    await rm(context, { recursive: true, force: true });
  }
  return image;
}

async function contentHash(base: string): Promise<string> {
  const hash = createHash("sha256").update(`${base}\n${sudoersDropIn(user)}\n`);
  for (const name of (await readdir(source)).sort()) {
    hash.update(`${name}\n`).update(await readFile(join(source, name)));
  }
  return hash.digest("hex").slice(0, 12);
}
