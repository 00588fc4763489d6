/** A Debian base image: pulled where an image registry answers, else made from packages and kept outside the clone. */
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { dockerRun, imageExists } from "./docker.ts";
import { type Progress, streaming } from "./progress.ts";

export type Flavour = "bookworm" | "trixie";

/** Bump when the recipe below changes: it is part of the tag and of the cached file's name. */
const recipe = "minbase, ca-certificates, no package lists; 1";

/** Silence after which a registry counts as absent, in milliseconds. */
const registryPatience = 5_000;

/**
 * Makes sure that an image with Debian's base system exists.
 * @returns its reference, to be passed as the build argument BASE
 * @throws when nothing can be pulled and this machine cannot make one (not Debian, or not root)
 */
export async function ensureBase(flavour: Flavour, onProgress: Progress): Promise<string> {
  const local = `lmstack-base:${flavour}-${createHash("sha256").update(recipe).digest("hex").slice(0, 12)}`;
  if (await imageExists(local)) return local;
  const official = `debian:${flavour}-slim`;
  if ((await imageExists(official)) || (await pulled(official, onProgress))) return official;
  const tarball = await bootstrapped(flavour, `${local.replace(":", "-")}.tar`, onProgress);
  onProgress(`importing ${tarball} as ${local}`);
  await dockerRun(["import", "--change", 'CMD ["bash"]', tarball, local]);
  return local;
}

/** `docker pull` says the image's name as soon as the registry has answered: until then patience is short, afterwards it is not. */
async function pulled(image: string, onProgress: Progress): Promise<boolean> {
  const pull = execa("docker", ["pull", image], { reject: false, all: true });
  const timer = setTimeout(() => pull.kill(), registryPatience);
  pull.all.on("data", () => clearTimeout(timer));
  const result = await pull;
  clearTimeout(timer);
  onProgress(
    result.exitCode === 0 ? `pulled ${image}` : `${image} cannot be pulled here; making a base from Debian packages`,
  );
  return result.exitCode === 0;
}

async function bootstrapped(flavour: Flavour, name: string, onProgress: Progress): Promise<string> {
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "lmstack", "bases");
  await mkdir(folder, { recursive: true });
  const tarball = join(folder, name);
  await ensureDebootstrap(folder, onProgress);
  // flock: two test runs on one machine would otherwise build the same thing side by side. The final name appears only when complete.
  await streaming(
    onProgress,
    `making a Debian base (${flavour}), about a minute, once`,
    execa("flock", [join(folder, `${name}.lock`), "sh", "-euc", bootstrapScript, "bootstrap", flavour, tarball], {
      all: true,
      reject: false,
    }),
  );
  return tarball;
}

const bootstrapScript = `
if [ -s "$2" ]; then echo "found $2"; exit 0; fi
tree="$(mktemp -d "$2.XXXXXX")"
trap 'rm -rf "$tree"' EXIT
debootstrap --variant=minbase --include=ca-certificates "$1" "$tree/root"
echo "packing"
tar -C "$tree/root" --exclude=./var/cache/apt/archives/*.deb --exclude=./var/lib/apt/lists/* --exclude=./dev/* --one-file-system -cf "$tree/tar" .
mv "$tree/tar" "$2"
`;

/** Under a lock: two workers that both find it missing would fight for apt's own. */
async function ensureDebootstrap(folder: string, onProgress: Progress): Promise<void> {
  if ((await execa("sh", ["-c", "command -v debootstrap"], { reject: false })).exitCode === 0) return;
  const able =
    process.getuid?.() === 0 && (await execa("sh", ["-c", "command -v apt-get"], { reject: false })).exitCode === 0;
  if (!able) {
    throw new Error(
      "A test host needs a Debian base image: none could be pulled, and debootstrap is not installed. " +
        "Install it with `sudo apt-get install debootstrap` and run as root, or pull debian:bookworm-slim by hand.",
    );
  }
  await streaming(
    onProgress,
    "installing debootstrap",
    execa("flock", [join(folder, "apt.lock"), "sh", "-c", installDebootstrap], {
      all: true,
      reject: false,
      env: { DEBIAN_FRONTEND: "noninteractive" },
    }),
  );
}

const installDebootstrap =
  "command -v debootstrap || { apt-get update && apt-get install -y --no-install-recommends debootstrap; }";
