/** The `llmster` executable: the daemon itself when called without a word, `bootstrap` after unpacking, `--version`, `upgrade`. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { readTraps } from "../traps.ts";
import { serveApi } from "./api.ts";
import { bootstrap } from "./bootstrap.ts";
import { Daemon } from "./daemon.ts";
import { runningDaemon } from "./discovery.ts";
import { apiInfoFile, findLmstudioHome, reportedVersion } from "./home.ts";
import { readJson, writeJson } from "./settings.ts";

const bundle = dirname(fileURLToPath(import.meta.url));
const version = String(readJson(join(bundle, "version.json"))?.version ?? "0.0.0-0");

async function main(): Promise<void> {
  const [command] = process.argv.slice(2);
  if (command === "--version") return void console.log(reportedVersion(version));
  const home = findLmstudioHome();
  if (command === "bootstrap") return await install(home);
  if (command === "upgrade") {
    console.error("Error: Failed to look for updates: the update server cannot be reached.");
    process.exitCode = 1;
    return;
  }
  await run(home);
}

async function install(home: string): Promise<void> {
  const running = await runningDaemon(home);
  if (running !== null) {
    console.error(
      `Error: The llmster daemon appears to be running (pid:${running.pid}). Stop it first with: lms daemon down`,
    );
    process.exitCode = 1;
    return;
  }
  mkdirSync(home, { recursive: true });
  const target = bootstrap({ home, from: dirname(bundle), version, traps: readTraps(home) });
  console.error(`Install completed at ${target}.`);
  console.error(`lms install location: ${join(home, "bin", "lms")}`);
}

async function run(home: string): Promise<void> {
  process.title = "llmster";
  const traps = readTraps(home, version);
  if (traps.crashAtStart) process.kill(process.pid, "SIGKILL");
  // Two `lms` calls that wake the daemon at once start two processes; the second finds the name taken and goes away.
  if (!(await becomeOnly(home))) return;
  if (traps.daemonStartMs > 0) await delay(traps.daemonStartMs);
  const stop = async (): Promise<void> => {
    // Only what this process wrote: a successor may have started already.
    if (readApiPort(home) === port) rmSync(apiInfoFile(home), { force: true });
    await daemon.stop();
    process.exit(0);
  };
  const daemon = new Daemon(home, version, () => void stop());
  await daemon.start();
  const port = await serveApi(daemon);
  writeJson(apiInfoFile(home), { port });
  process.on("SIGTERM", () => void stop());
  process.on("SIGINT", () => void stop());
  process.on("SIGHUP", () => {});
}

function readApiPort(home: string): number | null {
  try {
    return (JSON.parse(readFileSync(apiInfoFile(home), "utf8")) as { port: number }).port;
  } catch {
    return null;
  }
}

/** A predecessor that is about to exit still holds the name for a moment. */
async function becomeOnly(home: string): Promise<boolean> {
  for (let tries = 0; tries < 30; tries += 1) {
    if (await takeName(home)) return true;
    await delay(100);
    if ((await runningDaemon(home)) !== null) return false;
  }
  return false;
}

/** One daemon a home: an abstract socket is given back by the kernel however the process ends. */
function takeName(home: string): Promise<boolean> {
  const name = `\0llmster-${createHash("sha256").update(home).digest("hex").slice(0, 24)}`;
  return new Promise((resolve) => {
    const holder = createServer();
    holder.once("error", () => resolve(false));
    holder.listen(name, () => resolve(true));
    holder.unref();
  });
}

await main();
