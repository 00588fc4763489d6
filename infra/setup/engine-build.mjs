// Builds the Pulumi CLI and the Docker provider from the pinned Go modules of test/engine: five to six minutes on two
// cores the first time, a few seconds when Go's own cache is warm.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { GO_FLAGS } from "./engine-layout.mjs";
import { clone } from "./folders.mjs";
import { findOnPath, lastLines, runProgram } from "./program.mjs";
import { SetupError, say, seconds, withHeartbeat } from "./report.mjs";

const sources = join(clone, "test", "engine");
const PACKAGES = ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", "./pulumi-resource-docker"];

export function wantedGo(goMod = readFileSync(join(sources, "go.mod"), "utf8")) {
  return /^go (\d+\.\d+)/m.exec(goMod)?.[1] ?? "1.26";
}

/** Go from 1.21 on fetches a newer toolchain by itself when go.mod asks for one; older ones cannot. */
export function isUsableGo(versionLine) {
  const found = /go(\d+)\.(\d+)/.exec(versionLine);
  return found !== null && (Number(found[1]) > 1 || Number(found[2]) >= 21);
}

async function requireGo() {
  const next =
    `Install Go ${wantedGo()} or newer (https://go.dev/dl, or your package manager), or install Pulumi itself ` +
    "(https://www.pulumi.com/docs/install), then run the same command again.";
  const go = findOnPath("go");
  if (go === undefined) {
    throw new SetupError(
      "no `pulumi` on PATH, its installer cannot be reached, and there is no Go to build it with.",
      next,
    );
  }
  const { code, output } = await runProgram(go, ["version"], { cwd: sources });
  if (code !== 0 || !isUsableGo(output))
    throw new SetupError(`${go} is too old or broken: ${lastLines(output, 2)}`, next);
  return go;
}

/**
 * Fetches the modules that the build needs (not all that go.mod names: some of those are not served by every proxy) and counts the
 * packages it consists of, which is what the progress is measured against.
 */
async function fetchModules(go, env, started) {
  const tags = GO_FLAGS[GO_FLAGS.indexOf("-tags") + 1];
  let modules = 0;
  let packages = 0;
  const onLine = (line) => {
    if (line.startsWith("go: downloading")) modules++;
    else packages++;
  };
  const list = runProgram(go, ["list", "-deps", "-tags", tags, ...PACKAGES], { cwd: sources, env, onLine });
  const progress = () => `engine: ${modules} Go modules fetched so far (${seconds(started)})`;
  const { code, output } = await withHeartbeat(progress, list);
  if (code === 0) return packages;
  throw new SetupError(
    `could not fetch the Go modules of the engine:\n${lastLines(output)}`,
    "Check the network (or GOPROXY) and run the same command again: what was fetched is kept.",
  );
}

/** Leaves `pulumi` and `pulumi-resource-docker` in `folder`; a killed build leaves nothing under that name. */
export async function buildEngine(folder) {
  if (existsSync(folder)) return;
  const go = await requireGo();
  const env = { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly -buildvcs=false", GOWORK: "off" };
  const started = Date.now();
  say("building the Pulumi engine with Go: 5 to 6 minutes the first time on two cores, kept for all later runs");

  const total = await fetchModules(go, env, started);
  const staging = `${folder}.new`;
  mkdirSync(staging, { recursive: true });
  let built = 0;
  let lastLine = Date.now();
  const build = runProgram(go, ["build", "-v", ...GO_FLAGS, "-o", `${staging}/`, ...PACKAGES], {
    cwd: sources,
    env,
    onLine: () => {
      built++;
      lastLine = Date.now();
    },
  });
  // Packages that Go's cache already has are not counted, and linking the two programs prints nothing for up to a minute.
  const line = () => {
    const what = Date.now() - lastLine > 15_000 ? "compiling or linking" : "compiling";
    const percent = Math.min(99, Math.round((100 * built) / Math.max(1, total)));
    return `engine: ${what}, ${percent} % of ${total} packages (${seconds(started)})`;
  };
  const { code, output } = await withHeartbeat(line, build);
  if (code !== 0) {
    rmSync(staging, { recursive: true, force: true });
    throw new SetupError(
      `building the engine failed after ${seconds(started)}:\n${lastLines(output)}`,
      "The build needs about 2 GB of memory and 5 GB of disk; run the same command again: what was compiled is kept.",
    );
  }
  renameSync(staging, folder);
  say(`engine: built in ${seconds(started)}`);
}
