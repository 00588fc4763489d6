/** A stack's file, `Pulumi.STACK.yaml`: found, read, and written whole or not at all. */
import { randomUUID } from "node:crypto";
import { readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CliFault } from "./fault.ts";
import { askPulumi, projectRoot } from "./pulumi.ts";

export interface StackFile {
  /** The stack as Pulumi is told it. */
  readonly stack: string;
  readonly folder: string;
  /** Of the file in `folder`. */
  readonly name: string;
}

export const stackFile = (stack: string, folder: string = projectRoot): StackFile => ({
  stack,
  folder,
  name: `Pulumi.${stack.split("/").at(-1)}.yaml`,
});

/** @param given the selected stack when absent */
export async function stackOf(given: string | undefined, folder: string = projectRoot): Promise<StackFile> {
  return stackFile((given ?? (await askPulumi(["stack", "--show-name"], undefined, { folder }))).trim(), folder);
}

/** @throws CliFault when there is none */
export async function readStack(file: StackFile): Promise<string> {
  const text = await findStack(file);
  if (text !== undefined) return text;
  throw new CliFault(`${file.name} cannot be read (ENOENT). Next: name an existing stack with --stack`);
}

export async function findStack({ folder, name }: StackFile): Promise<string | undefined> {
  try {
    return await readFile(join(folder, name), "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw new CliFault(`${name} cannot be read (${code}). Next: name an existing stack with --stack`, { cause });
  }
}

/** Whoever reads or kills in between finds the old file or the new one. */
export async function writeStack({ folder, name }: StackFile, text: string): Promise<void> {
  // A link stays one.
  const file = await realpath(join(folder, name)).catch(() => join(folder, name));
  const staging = `${file}.${randomUUID()}`;
  const mode = await stat(file).then(
    (found) => found.mode,
    () => 0o644,
  );
  try {
    await writeFile(staging, text, { mode });
    await rename(staging, file);
  } catch (error) {
    await rm(staging, { force: true });
    throw error;
  }
}
