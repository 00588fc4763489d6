import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Some packages are CommonJS inside and reach for Node's own modules with `require`, which an ES module does not have. */
const banner =
  'import{createRequire as __lmstackRequire}from"node:module";const require=__lmstackRequire(import.meta.url);';

/** hostctl as one ES module for Node 26, `hostctl.mjs`. The same sources give the same bytes. */
export async function bundleHostctl(): Promise<Uint8Array> {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const result = await build({
    absWorkingDir: root,
    entryPoints: ["hostctl/main.ts"],
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
  if (file === undefined) throw new Error("esbuild gave no bundle for hostctl/main.ts");
  return file.contents;
}
