import { mkdir, realpath, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Become, Change, Observed, ProxyFilesDocument } from "../../infra/spec/host-documents.ts";
import { keysFileName, services, sysctlFile } from "../../infra/spec/host-layout.ts";
import { readJson, readText, writeAtomic, writeJson } from "../atomic-file.ts";
import { privileged } from "../command.ts";
import { sha256 } from "../digest.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { get, send } from "../http.ts";
import { listeners, ownerOf } from "../listeners.ts";
import { pause } from "../pause.ts";
import { commandLine, endProcess, markOf } from "../process.ts";
import { forgetService, observedService, recordedService, recordService } from "../service/record.ts";
import { proxyService, refuseSystemUnit, type Service } from "../service/service.ts";
import { dropToken, storeToken } from "../tokens.ts";
import { adminSockets, listensStill } from "./admin-sockets.ts";

interface Written {
  readonly sha256: string;
  readonly runtime: "docker" | "native";
  readonly drainSeconds: number;
  /** Digest of everything that the native proxy reads only when it starts, as of its last start by us. */
  readonly started?: string | undefined;
}

type ProxyFiles = Omit<ProxyFilesDocument, "config"> & {
  readonly config: { readonly listen: { readonly port: number }; readonly drainSeconds?: unknown };
};

export async function convergeProxyFiles(host: Host, document: ProxyFiles): Promise<Change[]> {
  const { port } = document.config.listen;
  await mkdir(host.paths.proxy, { recursive: true, mode: 0o700 });
  await refuseSystemUnit(host, document.become, services.proxy);
  await requireOwnPort(host, port);
  const changes: Change[] = [];
  const text = `${JSON.stringify(document.config, null, 2)}\n`;
  const keys = document.keys?.length ? `${JSON.stringify({ keys: document.keys }, null, 2)}\n` : null;
  const fresh = (await readText(configPath(host))) !== text;
  const otherKeys = (await readText(keysPath(host))) !== keys;
  // A running proxy looks at both at any moment: the keys are there before they are named, and are no longer named before they go.
  if (otherKeys && keys !== null) await writeAtomic(keysPath(host), keys, 0o600);
  if (fresh) await writeAtomic(configPath(host), text, 0o600);
  if (otherKeys && keys === null) await rm(keysPath(host), { force: true });
  if (fresh) changes.push({ what: "proxy.json", from: null, to: "written" });
  if (otherKeys) changes.push({ what: keysFileName, from: null, to: keys === null ? "removed" : "written" });
  const before = await readJson<Written>(recordPath(host));
  const drain = document.config.drainSeconds;
  const drainSeconds = typeof drain === "number" ? drain : 600;
  const written: Written = { sha256: filesSha256(text, keys), runtime: document.runtime, drainSeconds };
  await writeJson(recordPath(host), { ...written, started: before?.started } satisfies Written);
  changes.push(...(await migrateConnections(host, document.become)), ...(await stopAncestor(host)));
  const service = proxyService(host, document.become, drainSeconds);
  if (document.runtime === "native") {
    const rewritten = await service.install();
    const { active } = await service.state();
    const program = await realpath(host.program.proxy).catch(() => null);
    const started = sha256(JSON.stringify([text, program, service.wantedText]));
    // Other keys alone are taken by the proxy that runs.
    if (!active) await service.start();
    else if (rewritten || before?.started !== started) await replaceServing(host, service);
    await writeJson(recordPath(host), { ...written, started } satisfies Written);
    await recordService(host, "proxy", service.wantedText);
    if (rewritten || !active)
      changes.push({
        what: `service lmstack-proxy (${service.flavour})`,
        from: active ? "running" : null,
        to: "running",
      });
    await awaitProxy(port);
  } else {
    await service.remove();
  }
  // A container whose configuration changed is about to be replaced, and what runs in it may be too old for the new one.
  if (!fresh || document.runtime === "native") await reloadProxies(host);
  await storeToken(host, "proxy-files", document.token);
  return changes;
}

/** The port may belong to nobody, to a proxy of ours, or to the ancestor's proxy, which is stopped next. */
async function requireOwnPort(host: Host, port: number): Promise<void> {
  const found = await listeners(host, port);
  if (found.length === 0 || (await adminSockets(host)).length > 0) return;
  const owner = ownerOf(found);
  const words = owner === null ? "" : commandLine(owner);
  if (words.includes(ancestorScript) || words.includes("proxy.mjs")) return;
  throw new HostFailure(
    "port_in_use",
    `port ${port} on this host is taken by ${owner === null ? "a program of another account" : `pid ${owner} (${words.slice(0, 80)})`}`,
    "end that program or choose another proxy.port in the spec",
  );
}

/** A proxy looks at its files once a second; whoever asks it next with a new key would be too early. */
async function reloadProxies(host: Host): Promise<void> {
  for (const socketPath of await adminSockets(host)) {
    const answer = await send({ socketPath }, "POST", "/-/reload", null, 5000).catch(() => null);
    if (answer?.status !== 200) continue;
    const { problem } = JSON.parse(answer.body) as { problem?: string | null };
    if (typeof problem !== "string") continue;
    throw new HostFailure(
      "unhealthy",
      `the proxy keeps its former configuration and keys, because the new ones are wrong: ${problem}`,
      "correct proxy in the spec, then run up again",
    );
  }
}

const ancestorScript = "lms-no-think-proxy.py";

/** Stopped only if that pid really is the script: the file may be old and the pid somebody else's. */
async function stopAncestor(host: Host): Promise<Change[]> {
  const pidFile = join(host.paths.lmstudio, ".internal", "lms-no-think-proxy.pid");
  const text = await readText(pidFile);
  if (text === null) return [];
  const pid = Number(text.trim());
  const changes: Change[] = [];
  if (Number.isInteger(pid) && pid > 1 && commandLine(pid).includes(ancestorScript)) {
    host.say(`stopping the script's own proxy (pid ${pid})`);
    await endProcess(markOf(pid), 5000);
    changes.push({ what: "the script's proxy", from: `running (pid ${pid})`, to: "stopped" });
  }
  await rm(pidFile, { force: true });
  return changes;
}

/** Lets a replaced proxy hand over connections that wait in its queue (Linux 5.14). Nice to have: a refusal is only told. */
async function migrateConnections(host: Host, become: Become): Promise<Change[]> {
  if (host.platform !== "linux") return [];
  const value = (await readText("/proc/sys/net/ipv4/tcp_migrate_req"))?.trim();
  if (value === undefined || !host.ownHome || become === "none" || (await readText(sysctlFile)) === migrateText(1))
    return [];
  try {
    await writeAtomic(priorSysctl(host), value);
    await writeSysctl(host, become, 1);
    return [{ what: sysctlFile, from: null, to: "net.ipv4.tcp_migrate_req = 1" }];
  } catch (error) {
    host.say(
      `note: a proxy's replacement may cost waiting connections: ${error instanceof Error ? error.message : String(error)}`,
    );
    return [];
  }
}

const migrateText = (value: number) =>
  `# lmstack: connections that wait in a closing listener's queue move to the next one\nnet.ipv4.tcp_migrate_req = ${value}\n`;

async function writeSysctl(host: Host, become: Become, value: number): Promise<void> {
  await privileged(host, become, ["install", "-m", "0644", "/dev/stdin", sysctlFile], { input: migrateText(value) });
  await privileged(host, become, ["sysctl", "-q", "-p", sysctlFile]);
}

/** The value goes back to what it was before, now and not only at the next boot. */
async function restoreSysctl(host: Host, become: Become): Promise<void> {
  const prior = await readText(priorSysctl(host));
  if (prior === null) return;
  try {
    if (prior.trim() === "0") await writeSysctl(host, become, 0);
    await privileged(host, become, ["rm", "-f", sysctlFile]);
  } catch (error) {
    host.say(`note: ${sysctlFile} stays: ${error instanceof Error ? error.message : String(error)}`);
  }
  await rm(priorSysctl(host), { force: true });
}

/**
 * The parent process starts a successor, on another socket where the address changed, and the one before it ends when its last answer is through.
 * Never a restart of the service, which would wait for those answers; a changed unit counts from the next boot on.
 */
async function replaceServing(host: Host, service: Service): Promise<void> {
  const before = await adminSockets(host);
  const pid = await service.pid();
  const words = pid === null ? "" : commandLine(pid);
  // From a version without the parent process. Empty where the system does not tell.
  if (pid === null || (words !== "" && !words.includes(" hold "))) return await service.restart();
  process.kill(pid, "SIGHUP");
  const deadline = Date.now() + 20_000;
  for (;;) {
    const fresh = (await adminSockets(host)).filter((socket) => !before.includes(socket));
    const serving = await Promise.all(fresh.map(listensStill));
    if (serving.includes(true) && !(await Promise.all(before.map(listensStill))).includes(true)) return;
    if (Date.now() > deadline)
      throw new HostFailure(
        "unhealthy",
        "the native proxy's successor does not take over",
        "look at `journalctl -u lmstack-proxy` (or ~/.lmstack/logs) on the host; the proxy that served before goes on",
      );
    await pause(100);
  }
}

async function awaitProxy(port: number): Promise<void> {
  const deadline = Date.now() + 20_000;
  while ((await get({ host: "127.0.0.1", port }, "/healthz", 1000)) === null) {
    if (Date.now() > deadline)
      throw new HostFailure(
        "unhealthy",
        `the native proxy does not answer on 127.0.0.1:${port}`,
        "look at `journalctl -u lmstack-proxy` (or ~/.lmstack/logs) on the host",
      );
    await pause(100);
  }
}

export async function observeProxyFiles(
  host: Host,
  become: Become,
): Promise<Pick<Observed["proxy"], "filesSha256" | "expectedFilesSha256" | "port" | "service">> {
  const [text, keys, written, expected] = await Promise.all([
    readText(configPath(host)),
    readText(keysPath(host)),
    readJson<Written>(recordPath(host)),
    recordedService(host, "proxy"),
  ]);
  const native = written?.runtime === "native";
  const service = native ? await proxyService(host, become, written.drainSeconds).state() : null;
  return {
    filesSha256: text === null ? null : filesSha256(text, keys),
    expectedFilesSha256: written?.sha256 ?? null,
    port: (await readJson<Partial<ProxyFiles["config"]>>(configPath(host)))?.listen?.port ?? null,
    service: service === null ? null : observedService(service, expected),
  };
}

export async function removeProxyFiles(host: Host, become: Become): Promise<void> {
  const written = await readJson<Written>(recordPath(host));
  await proxyService(host, become, written?.drainSeconds ?? 10).remove();
  await forgetService(host, "proxy");
  await restoreSysctl(host, become);
  await rm(host.paths.proxy, { recursive: true, force: true });
  await rm(recordPath(host), { force: true });
  await dropToken(host, "proxy-files");
}

/** Of the configuration alone where there are no keys. */
const filesSha256 = (config: string, keys: string | null): string =>
  sha256(keys === null ? config : `${config}\0${keys}`);

const keysPath = (host: Host) => join(host.paths.proxy, keysFileName);
const configPath = (host: Host) => join(host.paths.proxy, "proxy.json");
const priorSysctl = (host: Host) => join(host.paths.state, "sysctl.prior");
const recordPath = (host: Host) => join(host.paths.state, "proxy-files.json");
