/** The SSH key that opens every test host of this checkout. Made on first use, never part of an image. */
import { existsSync } from "node:fs";
import { mkdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";

/** Private files of the test hosts; ignored by git. */
export const folder = join(import.meta.dirname, "../../.lmstack/test-hosts");

export async function ensureIdentity(): Promise<{ readonly identityFile: string; readonly publicKey: string }> {
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
