/**
 * The bundles of an earlier run, for as long as no source has changed: to make them costs more CPU than all else that a look at a host does, and a
 * rollout looks at each host several times.
 */
import { createHash, randomUUID } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { z } from "zod";

const kept = z.object({
  sources: z.array(z.string()),
  digest: z.string(),
  files: z.record(z.string(), z.instanceof(Uint8Array)),
});
type Made = Omit<z.output<typeof kept>, "digest">;

/** @param root what the names of sources are relative to */
export async function keptBundles(cache: string, root: string, make: () => Promise<Made>): Promise<Made["files"]> {
  const file = join(cache, "bundles");
  try {
    const { data } = kept.safeParse(deserialize(await readFile(file)));
    if (data && data.digest === digestOf(data, root)) return data.files;
  } catch {
    // None is kept, or one of its sources is gone.
  }
  // A file system's clock is coarse.
  const began = Date.now() - 1_000;
  const made = await make();
  // What is edited meanwhile may be in the bundles or not.
  if (made.sources.some((source) => statSync(join(root, source)).mtimeMs >= began)) return made.files;
  const staging = `${file}.${randomUUID()}`;
  await mkdir(cache, { recursive: true });
  await writeFile(staging, serialize({ ...made, digest: digestOf(made, root) }));
  await rename(staging, file);
  return made.files;
}

/** Of what went in and what came out. */
function digestOf({ sources, files }: Made, root: string): string {
  const hash = createHash("sha256");
  for (const source of sources) hash.update(`${source}\0`).update(readFileSync(join(root, source)));
  for (const [name, content] of Object.entries(files)) hash.update(`${name}\0`).update(content);
  return hash.digest("hex");
}
