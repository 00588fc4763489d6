#!/usr/bin/env node
// `lmstack` on whatever Node the machine has: hands over to the clone's own Node, after setting the clone up when it is fresh.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const node = at("../../node_modules/.bin/node");
const program = [at("lmstack.ts"), ...process.argv.slice(2)];

const [file, args] = existsSync(node) ? [node, program] : [process.execPath, [at("../setup/run.mjs"), ...program]];
const { status, error } = spawnSync(file, args, { stdio: "inherit" });
if (error) console.error(`lmstack: ${file} could not be started (${error.message}): run \`npm ci\` in the clone`);
process.exitCode = status ?? 1;
