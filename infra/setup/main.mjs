// Set-up as a table of contents: packages, Docker, engine; then the program that was asked for, on the Node of the clone.

import { delimiter, join } from "node:path";
import { backendEnvironment } from "./backend.mjs";
import { ensureDocker } from "./docker.mjs";
import { ensureEngine } from "./engine.mjs";
import { clone, cloneNode } from "./folders.mjs";
import { runToEnd } from "./hand-over.mjs";
import { ensurePackages } from "./packages.mjs";
import { SetupError, say } from "./report.mjs";

/** What differs from our own environment in the program's: the clone's Node and the engine come first on PATH. */
function changedEnvironment(engine, docker) {
  const folders = [join(clone, "node_modules", ".bin"), engine.pathFolder, process.env.PATH];
  return {
    ...engine.env,
    ...backendEnvironment({ ...process.env, ...engine.env }),
    PATH: [...new Set(folders.filter(Boolean).join(delimiter).split(delimiter))].join(delimiter),
    LMSTACK_NODE: cloneNode,
    LMSTACK_DOCKER: docker,
    // Pulumi starts Node several times a run, and most of each start is compiling the same SDK.
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(clone, ".lmstack", "cache", "compiled"),
  };
}

function shellQuoted(value) {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

/** `--print-env` prints what a shell needs to call `pulumi` by hand: eval "$(node infra/setup/run.mjs --print-env)". */
export async function main([file, ...args]) {
  try {
    await ensurePackages();
    const docker = await ensureDocker();
    const changed = changedEnvironment(await ensureEngine(), docker);
    if (file === undefined) return say("everything is ready");
    if (file === "--print-env") {
      for (const [name, value] of Object.entries(changed)) console.log(`export ${name}=${shellQuoted(value)}`);
      return undefined;
    }
    return await runToEnd(cloneNode, [file, ...args], { ...process.env, ...changed });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`${error.message}\n       ${error.next}`);
    process.exitCode = 1;
    return undefined;
  }
}
