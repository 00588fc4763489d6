/** The programs that run on a host, as ES modules for Node 26. */
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildOptions, build, type Plugin } from "esbuild";

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
  metafile: true,
  outdir: "out",
  outExtension: { ".js": ".mjs" },
  platform: "node",
  format: "esm",
  target: "node26",
  minify: true,
  sourcemap: false,
  legalComments: "none",
  logLevel: "silent",
  banner: { js: banner },
} as const;

/** Files by their name, and the sources that they were made from, relative to the project's folder. */
interface Bundled {
  readonly files: Readonly<Record<string, Uint8Array>>;
  readonly sources: readonly string[];
}

async function bundled(options: Omit<BuildOptions, keyof typeof common>): Promise<Bundled> {
  const { outputFiles, metafile } = await build({ ...common, ...options });
  return {
    files: Object.fromEntries(outputFiles.map(({ path, contents }) => [basename(path), contents])),
    // Node's own modules are of a namespace of theirs.
    sources: Object.keys(metafile.inputs).filter((input) => !/^\w+:/.test(input)),
  };
}

/** The same sources give the same bytes, since the bundle's digest is its name on the host. */
const proxyBundle = () => bundled({ entryPoints: { proxy: "proxy/main.ts" } });

/**
 * `hostctl.mjs` is what starts; what it loads by `import()` has files of its own beside it, because whoever has read a file pays for all
 * of it: 19 MB for the whole of hostctl, of which the supervisor needs a tenth.
 */
const hostctlBundle = () =>
  bundled({
    entryPoints: { hostctl: "hostctl/main.ts" },
    chunkNames: "hostctl-[name]-[hash]",
    splitting: true,
    plugins: [builtinsWhenUsed],
  });

export const bundleProxy = async (): Promise<Uint8Array> => (await proxyBundle()).files["proxy.mjs"] as Uint8Array;
export const bundleHostctl = async (): Promise<Bundled["files"]> => (await hostctlBundle()).files;

export async function bundleAll(): Promise<Bundled> {
  const [hostctl, proxy] = await Promise.all([hostctlBundle(), proxyBundle()]);
  return { files: { ...hostctl.files, ...proxy.files }, sources: [...hostctl.sources, ...proxy.sources] };
}
