// Docker on this machine: used when it answers, started when it is only installed, installed where that is possible. Where it
// is none of these, set-up goes on without it and says so: what needs no container still runs.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { ensureDebianPackages, installCommand, isDebian } from "./apt.mjs";
import { stateFolder } from "./folders.mjs";
import { findOnPath, lastLines, runProgram } from "./program.mjs";
import { SetupError, say } from "./report.mjs";

const PING_TIMEOUT_MS = 3_000;
const START_TIMEOUT_MS = 60_000;
const START_POLL_MS = 250;
const PACKAGES = ["docker.io", "iptables"];

/** @returns {Promise<"ok" | "absent" | "denied">} what answers at a Docker socket */
export function ping(socketPath) {
  return new Promise((resolve) => {
    const call = request({ socketPath, path: "/_ping", timeout: PING_TIMEOUT_MS }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? "ok" : "absent");
    });
    call.once("timeout", () => call.destroy(new Error("no answer")));
    call.once("error", (error) => resolve(error.code === "EACCES" || error.code === "EPERM" ? "denied" : "absent"));
    call.end();
  });
}

/** The sockets where a daemon may listen when nothing says otherwise: Linux, rootless, Docker Desktop, Colima. */
function sockets(env) {
  if (env.DOCKER_HOST?.startsWith("unix://")) return [env.DOCKER_HOST.slice("unix://".length)];
  const candidates = ["/var/run/docker.sock", join(homedir(), ".docker/run/docker.sock")];
  if (env.XDG_RUNTIME_DIR) candidates.push(join(env.XDG_RUNTIME_DIR, "docker.sock"));
  return [...candidates, join(homedir(), ".colima/default/docker.sock")].filter(existsSync);
}

async function state(env) {
  if (env.DOCKER_HOST && !env.DOCKER_HOST.startsWith("unix://")) {
    const docker = findOnPath("docker", env.PATH);
    const args = ["version", "--format", "{{.Server.Version}}"];
    return docker && (await runProgram(docker, args, { timeoutMs: 10_000 })).code === 0 ? "ok" : "absent";
  }
  let worst = "absent";
  for (const socket of sockets(env)) {
    const found = await ping(socket);
    if (found === "ok") return "ok";
    if (found === "denied") worst = "denied";
  }
  return worst;
}

/** @throws {SetupError} when it is not there in time, or `hasEnded` says that it will not come */
async function untilRunning(env, where, hasEnded = () => false) {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && !hasEnded()) {
    if ((await state(env)) === "ok") return;
    await wait(START_POLL_MS);
  }
  const how = hasEnded() ? "ended again" : `does not answer after ${START_TIMEOUT_MS / 1000} s`;
  throw new SetupError(`dockerd was started and ${how}`, `look at ${where}`);
}

/** By systemd where that runs, else as a daemon in a session of its own, so that it outlives this terminal. */
async function start(env) {
  if (existsSync("/run/systemd/system")) {
    say("docker: installed but not running, starting it with systemctl");
    await runProgram("systemctl", ["start", "docker"]);
    return untilRunning(env, "journalctl -u docker");
  }
  const log = join(stateFolder(env), "dockerd.log");
  say(`docker: installed but not running, starting dockerd (log: ${log})`);
  mkdirSync(stateFolder(env), { recursive: true });
  const output = openSync(log, "w");
  const daemon = spawn("dockerd", [], { detached: true, stdio: ["ignore", output, output] });
  let ended = false;
  const end = () => {
    ended = true;
  };
  daemon.once("exit", end).once("error", end).unref();
  try {
    return await untilRunning(env, log, () => ended);
  } catch (error) {
    for (const line of lastLines(readFileSync(log, "utf8"), 5).split("\n")) say(`    ${line}`);
    throw error;
  }
}

function withoutDocker(reason, commands) {
  say(`docker: ${reason}; going on without it, which leaves out everything that needs a container. To have it:`);
  for (const command of commands) say(`    ${command}`);
  return "none";
}

function adviceFor(platform) {
  if (platform === "darwin") return ["install Docker Desktop or Colima, start it, and run the same command again"];
  if (!isDebian()) return ["install Docker Engine: https://docs.docker.com/engine/install"];
  return [
    `sudo sh -c '${installCommand(PACKAGES)}'`,
    "sudo systemctl start docker",
    `sudo usermod -aG docker "$USER" && newgrp docker`,
  ];
}

/** @returns {Promise<"ok" | "none">} */
export async function ensureDocker(env = process.env) {
  const found = await state(env);
  if (found === "ok") {
    say("docker: running");
    return "ok";
  }
  if (found === "denied") {
    return withoutDocker("it runs, but this user may not talk to it", [
      `sudo usermod -aG docker "$USER" && newgrp docker`,
    ]);
  }
  const root = process.getuid?.() === 0;
  const installed = findOnPath("dockerd", env.PATH) !== undefined;
  if (process.platform !== "linux" || env.DOCKER_HOST)
    return withoutDocker("no daemon answers", adviceFor(process.platform));
  if (!root) {
    const commands = installed ? ["sudo systemctl start docker"] : adviceFor(process.platform);
    return withoutDocker(installed ? "it is installed and does not run" : "it is not installed", commands);
  }
  if (!installed && !isDebian()) return withoutDocker("it is not installed", adviceFor(process.platform));
  try {
    if (!installed) await ensureDebianPackages(PACKAGES, "Docker for the test hosts");
    if ((await state(env)) !== "ok") await start(env); // where an init system runs, installing it has started it
    return "ok";
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return withoutDocker(error.message, [error.next]);
  }
}
