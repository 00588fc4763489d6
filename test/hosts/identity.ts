/** The SSH key that opens every test host of this checkout. Made on first use, never part of an image. */
import { existsSync } from "node:fs";
import { mkdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";

/** Private files of the test hosts; ignored by git. */
export const folder = join(import.meta.dirname, "../../.lmstack/test-hosts");

interface Identity {
  readonly identityFile: string;
  readonly publicKey: string;
}

let made: Promise<Identity> | undefined;

/** Hosts that start at the same time share it, also when it is made for the first of them. */
export const ensureIdentity = (): Promise<Identity> => {
  made ??= makeIdentity();
  return made;
};

async function makeIdentity(): Promise<Identity> {
  const identityFile = join(folder, "id_ed25519");
  if (!existsSync(`${identityFile}.pub`)) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const fresh = join(folder, `new-${process.pid}`);
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "lmstack test host", "-f", fresh]);
    // The public half last: it is what the check above looks for.
    await rename(fresh, identityFile);
    await rename(`${fresh}.pub`, `${identityFile}.pub`);
  }
  return { identityFile, publicKey: (await readFile(`${identityFile}.pub`, "utf8")).trim() };
}
