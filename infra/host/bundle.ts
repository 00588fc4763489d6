/** The programs that run on a host, as ES modules for Node 26. */
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

/** Some packages are CommonJS inside and reach for Node's own modules with `require`, which an ES module does not have. */
const banner =
  'import{createRequire as __lmstackRequire}from"node:module";const require=__lmstackRequire(import.meta.url);';

/**
 * An ES module's `import` of a module of Node's own reads each of its exports, whoever needs them: of `node:http` that loads all of fetch and
 * WebSocket, 16 MB in a supervisor that stays for months; and it is done at the start, also for what is loaded later or never.
 */
const builtinsWhenUsed: Plugin = {
  name: "builtins-when-used",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: "builtin" }));
    onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
    }));
  },
};

const root = fileURLToPath(new URL("../..", import.meta.url));

const common = {
  absWorkingDir: root,
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
} as const;

/** The same sources give the same bytes, since the bundle's digest is its name on the host. */
export async function bundleProxy(): Promise<Uint8Array> {
  const { outputFiles } = await build({ ...common, entryPoints: ["proxy/main.ts"] });
  const file = outputFiles[0];
  if (file === undefined) throw new Error("esbuild gave no bundle for proxy/main.ts");
  return file.contents;
}

/**
 * By file name. `hostctl.mjs` is what starts; what it loads by `import()` has files of its own beside it, because whoever has read a file pays for all
 * of it: 19 MB for the whole of hostctl, of which the supervisor needs a tenth.
 */
export async function bundleHostctl(): Promise<Readonly<Record<string, Uint8Array>>> {
  const { outputFiles } = await build({
    ...common,
    entryPoints: { hostctl: "hostctl/main.ts" },
    outdir: "out",
    outExtension: { ".js": ".mjs" },
    chunkNames: "hostctl-[name]-[hash]",
    splitting: true,
    plugins: [builtinsWhenUsed],
  });
  return Object.fromEntries(outputFiles.map(({ path, contents }) => [basename(path), contents]));
}
