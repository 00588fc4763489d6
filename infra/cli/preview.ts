/** `pulumi preview` of a stack's file that is not written, and of a stack that may not exist yet: nothing is left behind. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { askPulumi, type Place, projectRoot, runPulumi } from "./pulumi.ts";
import type { StackFile } from "./stack-file.ts";

/**
 * @param text of the file; what it holds encrypted can be read only where the stack exists
 * @param quiet standard output is left alone
 * @returns pulumi's exit status
 */
export const preview = (file: StackFile, text: string, exists: boolean, quiet: boolean | undefined): Promise<number> =>
  beside(file, text, exists, (words, place) => runPulumi([...words, "--non-interactive"], { quiet, ...place }));

/** @returns what `pulumi preview --json` prints, of a preview that fails, too */
export const previewed = async (file: StackFile, text: string, exists: boolean): Promise<unknown> =>
  JSON.parse(
    await beside(file, text, exists, (words, place) =>
      askPulumi([...words, "--json"], undefined, { failing: true, ...place }),
    ),
  );

async function beside<T>(
  { stack, name, folder: project }: StackFile,
  text: string,
  exists: boolean,
  run: (words: readonly string[], place: Place) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "lmstack-preview-"));
  const file = join(folder, name);
  try {
    await writeFile(file, text, { mode: 0o600 });
    const words = ["preview", "--stack", stack, "--config-file", file];
    if (exists) return await run(words, { folder: project });
    await writeFile(
      join(folder, "Pulumi.yaml"),
      JSON.stringify({
        name: "lmstack",
        runtime: { name: "nodejs", options: { typescript: false } },
        main: join(projectRoot, "infra/main.js"),
      }),
    );
    await mkdir(join(folder, "state"));
    const env = {
      PULUMI_BACKEND_URL: pathToFileURL(join(folder, "state")).href,
      ...(/^encryptionsalt:/m.test(text) ? {} : { PULUMI_CONFIG_PASSPHRASE: "of a preview that is thrown away" }),
    };
    await askPulumi(["stack", "init", "--no-select"], stack, { folder, env });
    return await run(words, { folder, env });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
