/**
 * `npm test`: every suite that this machine can run, one after the other, with a line of progress at least every half minute, and one closing
 * line of totals. What cannot run here is said, never counted as passed.
 */
import { spawn } from "node:child_process";
import { mkdir, readFile, rm } from "node:fs/promises";
import { delimiter, join, relative } from "node:path";
import { SetupError } from "../infra/setup/report.mjs";
import { projectRoot } from "./pulumi/stack.ts";
import { ensureTestTools } from "./tools.ts";

interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** What is read of the report that vitest writes. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

const suites = [
  {
    name: "unit",
    needs: null,
    what: "pure parts, the engine's and LM Studio's stand-ins, hostctl and the proxy on loopback",
  },
  {
    name: "clients",
    needs: "tools",
    what: "the proxy with clients that people use, a real browser, and Prometheus' own checker",
  },
  { name: "container", needs: "docker", what: "the proxy's image, built and run by Testcontainers" },
  { name: "e2e", needs: "docker", what: "real `pulumi up` on test hosts over SSH" },
] as const;

const [wanted = [], passedOn = []] = split(process.argv.slice(2));
const docker = process.env.LMSTACK_DOCKER !== "none";
const totals: Totals[] = [];
const failures: string[] = [];
const missing: string[] = [];
const environment = { ...process.env };
let broken = false;

for (const suite of suites.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  const lacking = await lacks(suite.needs);
  if (lacking !== null) {
    missing.push(`${suite.name}. ${lacking}`);
    continue;
  }
  console.log(`\n== ${suite.name}: ${suite.what}`);
  const result = await run(suite.name);
  totals.push(result.totals);
  broken ||= result.exitCode !== 0;
}

const sum = (key: keyof Totals) => totals.reduce((total, suite) => total + suite[key], 0);
for (const words of missing) console.log(`\nNOT RUN: ${words}`);
// Once more at the end, which is all that a build machine's log may keep.
for (const words of failures) console.log(`\nFAILED: ${words}`);
const skipped = sum("skipped");
console.log(`\n${sum("passed")} passed, ${sum("failed")} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = broken || sum("failed") > 0 ? 1 : 0;

/** Why a suite cannot run here, in words; null when it can. */
async function lacks(what: (typeof suites)[number]["needs"]): Promise<string | null> {
  if (what === "docker" && !docker)
    return "It needs a Docker daemon, and set-up found none that works (its reason is at the top).";
  if (what !== "tools") return null;
  try {
    const { pathFolders, python } = await ensureTestTools();
    environment.PATH = [...pathFolders, process.env.PATH].join(delimiter);
    environment.PYTHONPATH = python;
    return null;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return `${error.message} ${error.next}`;
  }
}

/** `npm test -- unit e2e --reporter=verbose`: names of suites first, the rest is vitest's. */
function split(words: readonly string[]): [string[], string[]] {
  const names = suites.map(({ name }) => name as string);
  return [words.filter((word) => names.includes(word)), words.filter((word) => !names.includes(word))];
}

async function run(suite: string): Promise<{ exitCode: number; totals: Totals }> {
  const folder = join(projectRoot, ".lmstack", "test");
  const reportFile = join(folder, `${suite}.json`);
  await mkdir(folder, { recursive: true });
  await rm(reportFile, { force: true });
  const child = spawn(
    process.execPath,
    [
      join(projectRoot, "node_modules", "vitest", "vitest.mjs"),
      "run",
      `--project=${suite}`,
      "--reporter=verbose",
      "--reporter=json",
      `--outputFile.json=${reportFile}`,
      ...passedOn,
    ],
    { cwd: projectRoot, env: environment, stdio: ["ignore", "pipe", "inherit"] },
  );
  let lastWord = performance.now();
  const started = lastWord;
  child.stdout.on("data", (chunk: Buffer) => {
    lastWord = performance.now();
    process.stdout.write(chunk);
  });
  const heartbeat = setInterval(() => {
    if (performance.now() - lastWord < 20_000) return;
    lastWord = performance.now();
    console.log(`   … ${suite} goes on, ${Math.round((lastWord - started) / 1000)} s so far`);
  }, 5_000);
  const exitCode = await new Promise<number>((resolve) => child.on("close", (code) => resolve(code ?? 1)));
  clearInterval(heartbeat);
  const text = await readFile(reportFile, "utf8").catch(() => undefined);
  if (text === undefined) {
    failures.push(`${suite}: it ended without a report (exit code ${exitCode})`);
    return { exitCode: exitCode || 1, totals: { passed: 0, failed: 1, skipped: 0 } };
  }
  const report = JSON.parse(text) as Report;
  failures.push(...failuresOf(suite, report));
  const { numPassedTests, numFailedTests, numPendingTests } = report;
  return { exitCode, totals: { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests } };
}

/** One entry a failed test, and one a file that failed before its tests ran. */
function failuresOf(suite: string, { testResults }: Report): string[] {
  return testResults.flatMap(({ name, message, assertionResults }) => {
    const failed = assertionResults.filter(({ status }) => status === "failed");
    const where = `${suite}: ${relative(projectRoot, name)}`;
    if (failed.length === 0) return message ? [`${where}\n${message}`] : [];
    return failed.map(({ fullName, failureMessages }) => `${where} > ${fullName}\n${failureMessages.join("\n")}`);
  });
}
