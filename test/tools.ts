/**
 * What tests need besides the clone's packages: a browser, a terminal, checkers of Prometheus' rules, of workflows and of property lists, and Python packages. Kept outside the clone, so that every
 * clone of one user shares it; nothing is done when it is there.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureDebianPackages, isDebian } from "../infra/setup/apt.mjs";
import { cacheFolder } from "../infra/setup/folders.mjs";
import { findOnPath, lastLines, runProgram } from "../infra/setup/program.mjs";
import { SetupError, say, seconds, withHeartbeat } from "../infra/setup/report.mjs";

const openai = "openai==3.57.0";
/** Checks answers against the published schemas of three dialects; the one package that it needs beside. */
const llmComply = "llm-comply==0.5.0 --hash=sha256:a9e2442915d233087b30abcb38bd4333d5878ae0e7c80b0d93e8b9f006843e9b\n";
const jsonschema = "jsonschema==4.26.0";

/** Where Debian puts HAProxy, which is not on everybody's PATH. */
const sbin = "/usr/sbin";

export interface TestTools {
  /** Put in front of PATH for the tests. */
  readonly pathFolders: readonly string[];
  /** Python packages, for PYTHONPATH. */
  readonly python: string;
}

/** Throws `SetupError` in words. */
export async function ensureTestTools(): Promise<TestTools> {
  if (findOnPath("chromium") === undefined) {
    await ensureDebianPackages(["chromium", "fonts-dejavu-core"], "the status page is tested in a real browser");
  }
  await ensureTmux();
  if (findOnPath("plistutil") === undefined)
    await ensureDebianPackages(["libplist-utils"], "launchd's files are checked by another parser of them");
  const path = `${process.env.PATH}:${sbin}`;
  const lacking = ["haproxy", "socat", "openssl"].filter((program) => findOnPath(program, path) === undefined);
  if (lacking.length > 0) await ensureDebianPackages(lacking, "the gateway of a fleet is a real HAProxy");
  const ofGateway = findOnPath("haproxy") === undefined ? sbin : undefined;
  const folders = [await ensurePromtool(), await ensureActionlint(), ofGateway];
  return { pathFolders: folders.filter((folder) => folder !== undefined), python: await ensurePython() };
}

export async function ensureTmux(): Promise<void> {
  if (findOnPath("tmux") !== undefined) return;
  await ensureDebianPackages(["tmux"], "Codex's terminal interface is tested in a terminal");
}

/** Out of Debian's package, not installed: that would start a server of its own. */
async function ensurePromtool(): Promise<string | undefined> {
  if (findOnPath("promtool") !== undefined) return undefined;
  const folder = join(cacheFolder(), "prometheus");
  const programs = join(folder, "usr", "bin");
  if (existsSync(join(programs, "promtool"))) return programs;
  if (!isDebian()) {
    throw new SetupError(
      "promtool is needed to check the alert rules.",
      "Install Prometheus with the package manager.",
    );
  }
  await unpacked(folder, "promtool: taking it out of Debian's package prometheus", async (scratch) => {
    // A new machine has no lists of packages yet.
    await must(
      "sh",
      ["-c", "apt-get download prometheus || { apt-get update && apt-get download prometheus; }"],
      scratch,
    );
    await must("sh", ["-c", 'dpkg-deb -x prometheus_*.deb "$1"', "sh", join(scratch, "tree")], scratch);
    return join(scratch, "tree");
  });
  return programs;
}

async function ensureActionlint(): Promise<string | undefined> {
  if (findOnPath("actionlint") !== undefined) return undefined;
  const version = "v1.7.12";
  const folder = join(cacheFolder(), `actionlint-${version}`);
  if (existsSync(folder)) return folder;
  if (findOnPath("go") === undefined)
    throw new SetupError("actionlint is needed to check the workflows.", "Install it, or Go, which builds it.");
  await unpacked(folder, `actionlint: building ${version} with Go`, async (scratch) => {
    await must(
      "env",
      [`GOBIN=${scratch}/bin`, "go", "install", `github.com/rhysd/actionlint/cmd/actionlint@${version}`],
      scratch,
    );
    return join(scratch, "bin");
  });
  return folder;
}

async function ensurePython(): Promise<string> {
  const folder = join(cacheFolder(), `python-${openai}-llm-comply-0.5.0`.replaceAll("==", "-"));
  if (existsSync(join(folder, "llm_comply"))) return folder;
  const { code } = await runProgram("python3", ["-m", "pip", "--version"]);
  if (code !== 0) await ensureDebianPackages(["python3", "python3-pip"], "Python clients are tested");
  await unpacked(folder, `python: installing ${openai} and llm-comply for the tests`, async (scratch) => {
    const target = join(scratch, "packages");
    const install = ["-m", "pip", "install", "--quiet", "--target", target];
    await must("python3", [...install, openai, jsonschema], scratch);
    await writeFile(join(scratch, "hashed.txt"), llmComply);
    await must("python3", [...install, "--no-deps", "--require-hashes", "-r", "hashed.txt"], scratch);
    return target;
  });
  return folder;
}

/** `make` returns the folder that becomes `folder`, which so exists whole or not at all. */
async function unpacked(folder: string, words: string, make: (scratch: string) => Promise<string>): Promise<void> {
  const started = Date.now();
  say(words);
  await mkdir(cacheFolder(), { recursive: true });
  const scratch = await mkdtemp(join(cacheFolder(), "making-"));
  try {
    const made = await withHeartbeat(() => `${words} (${seconds(started)})`, make(scratch));
    await rm(folder, { recursive: true, force: true });
    await rename(made, folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function must(file: string, args: readonly string[], cwd: string): Promise<void> {
  const { code, output } = await runProgram(file, [...args], { cwd });
  if (code !== 0)
    throw new SetupError(`${file} ${args[0]} failed:\n${lastLines(output)}`, "Run the same command again.");
}
