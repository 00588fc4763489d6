// Set-up as a table of contents: packages, Docker, engine; then the program that was asked for, on the Node of the clone.

import { delimiter, join } from "node:path";
import { ensureEngine } from "./engine.mjs";
import { clone, cloneNode } from "./folders.mjs";
import { runToEnd } from "./hand-over.mjs";
import { SetupError, say } from "./report.mjs";

function environment(engine, docker) {
  const folders = [join(clone, "node_modules", ".bin"), engine.pathFolder, process.env.PATH];
  return {
    ...process.env,
    ...engine.env,
    PATH: folders.filter(Boolean).join(delimiter),
    LMSTACK_NODE: cloneNode,
    LMSTACK_DOCKER: docker,
  };
}

export async function main([file, ...args]) {
  try {
    const engine = await ensureEngine();
    await runToEnd(cloneNode, file === undefined ? [] : [file, ...args], environment(engine, "ok"));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`${error.message}\n       ${error.next}`);
    process.exitCode = 1;
  }
}
