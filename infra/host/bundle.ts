import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** The programs that run on a host, each as one ES module for Node 26. */
export type Program = "hostctl" | "proxy";

/** Some packages are CommonJS inside and reach for Node's own modules with `require`, which an ES module does not have. */
const banner =
  'import{createRequire as __lmstackRequire}from"node:module";const require=__lmstackRequire(import.meta.url);';

/** The same sources give the same bytes, since the bundle's digest is its name on the host. */
export async function bundle(program: Program): Promise<Uint8Array> {
  const entry = `${program}/main.ts`;
  const result = await build({
    absWorkingDir: fileURLToPath(new URL("../..", import.meta.url)),
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    target: "node26",
    minify: true,
    sourcemap: false,
    legalComments: "none",
    logLevel: "silent",
    banner: { js: banner },
  });
  const file = result.outputFiles[0];
  if (file === undefined) throw new Error(`esbuild gave no bundle for ${entry}`);
  return file.contents;
}
