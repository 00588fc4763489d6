#!/usr/bin/env node
// First thing that runs on a fresh clone, on whatever Node the machine has: sets everything up, then hands over to the
// Node of the clone. `node infra/setup/run.mjs [FILE.ts [ARGUMENTS…]]`; without a file it only sets up.
// This one file has to parse on Nodes of the distant past, to be able to say that they are too old.

var OLDEST_NODE = 18;
if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE) {
  console.error(
    "lmstack needs Node " +
      OLDEST_NODE +
      " or newer to set itself up; this is " +
      process.version +
      " (" +
      process.execPath +
      ").\n" +
      "Install a current Node, see https://nodejs.org/en/download, then run the same command again.",
  );
  process.exit(1);
}
import("./main.mjs").then(
  (setup) => setup.main(process.argv.slice(2)),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
