import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Become, Change, LmstudioDocument } from "../../infra/spec/host-documents.ts";
import { services } from "../../infra/spec/host-layout.ts";
import { type Adopted, readAdopted, recordAdoption } from "../adoption.ts";
import { asFailure, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { clearIncidents } from "../incidents.ts";
import { listeners } from "../listeners.ts";
import { cudaEngine } from "../lmstudio/cuda-engine.ts";
import { greeting } from "../lmstudio/http.ts";
import { bootstrap, keptVersion, uninstall } from "../lmstudio/installation.ts";
import { changeInstalled, readInstalled } from "../lmstudio/installed.ts";
import {
  daemonDown,
  daemonStatus,
  daemonUp,
  lmsExists,
  load,
  ps,
  serverStart,
  serverStop,
  surveyEngines,
} from "../lmstudio/lms.ts";
import { requireMachine } from "../lmstudio/prerequisites.ts";
import { applySettings, pendingSettings, restoreSettings, settingsDrift } from "../lmstudio/settings.ts";
import { dropTarballs, stageTarball } from "../lmstudio/tarball.ts";
import { installedVersion } from "../lmstudio/versions.ts";
import { digestOfText, forgetService, recordedService, recordService } from "../service/record.ts";
import { refuseSystemUnit, supervisorService } from "../service/service.ts";
import { askSupervisor, settled } from "../supervisor/ask.ts";
import { engineId } from "../supervisor/decide.ts";
import { dropLmstudio, dropUnlisted, lmstudioDigest, readLmstudio, storeLmstudio } from "../supervisor/desired.ts";
import { dropToken, storeToken } from "../tokens.ts";
import { dropFiles } from "../upgrade/kept-files.ts";
import { type Candidate, endLeftOver, tryVersion } from "../upgrade/trial.ts";

const readyMs = 1_800_000;

export async function convergeLmstudio(host: Host, asked: LmstudioDocument): Promise<Change[]> {
  let document = await withEngine(host, asked);
  const adopted = (await lmsExists(host)) && (await readInstalled(host)) === null;
  await refuseEarly(host, document);
  const service = supervisorService(host, document.become, document.mounts);
  await endLeftOver(host, service);
  const version = await installedVersion(host);
  const changes: Change[] = [];
  let candidate: Candidate | null = null;
  if (adopted) await adopt(host, document, version, changes);
  else if (version !== document.version) {
    candidate = await stage(host, document);
    changes.push({ what: "LM Studio", from: version, to: document.version });
  }
  const serving = await readLmstudio(host);
  if (candidate !== null && version !== null && serving !== null) {
    // What is no longer declared is unloaded by the upgrade's success only: the way back wants it.
    await tryVersion(host, candidate, version, serving, service);
    candidate = null;
  }
  const settings = adopted ? await settingsDrift(host) : await pendingSettings(host, document.backendPort);
  if (candidate !== null || settings.length > 0) {
    // Both need the daemon down, and the supervisor would start it again.
    const { active } = await service.state();
    await service.stop();
    try {
      await daemonDown(host);
      if (candidate !== null) await bootstrap(host, document.version, candidate.sha512, candidate.folder);
      changes.push(...(await applySettings(host, document.backendPort)));
    } catch (error) {
      // What served before goes on serving.
      if (active) await service.start().catch((again: unknown) => host.say(asFailure(again).message));
      throw error;
    }
  }
  await storeLmstudio(host, document);
  if (document.models !== undefined) await dropUnlisted(host, document.models);
  const before = await service.state();
  const rewritten = await service.install();
  if (rewritten)
    changes.push({
      what: `service lmstack-supervisor (${service.flavour})`,
      from: before.text === null ? null : "another text",
      to: "written",
    });
  // What runs may still be the text before: also when an earlier run was killed between the writing and the restart.
  const outdated = rewritten || (await recordedService(host, "supervisor")) !== digestOfText(service.wantedText);
  if (before.active && outdated) await service.restart();
  else await service.start();
  await recordService(host, "supervisor", service.wantedText);
  if (!before.active) changes.push({ what: "supervisor", from: "stopped", to: "running" });
  await brought(host, document);
  if (!adopted && document.platform === "linux-cuda" && document.engine === undefined) {
    await chooseEngine(host, document.version, changes);
    document = await withEngine(host, document);
    await storeLmstudio(host, document);
    await brought(host, document);
  }
  await changeInstalled(host, () => ({ good: asked.version }));
  // Also those of a version that was declared for a while, and whose run was killed.
  await dropTarballs(host);
  await dropFiles(host);
  await clearIncidents(host, "lmstudio");
  await storeToken(host, "lmstudio", document.token);
  return changes;
}

/** Until the supervisor reports LM Studio and every model as declared, or says why it cannot. */
async function brought(host: Host, document: LmstudioDocument): Promise<void> {
  await askSupervisor(host, "LM Studio", readyMs, (status) => {
    if (!settled(status.lmstudio, lmstudioDigest(document), "LM Studio")) return false;
    return Object.values(status.models).every((model) => model.state !== "working");
  });
}

/** The spec's engine, else the one that was chosen here for that version. */
async function withEngine(host: Host, document: LmstudioDocument): Promise<LmstudioDocument> {
  const chosen = (await readInstalled(host))?.engine;
  if (document.engine !== undefined || chosen?.of !== document.version) return document;
  return { ...document, engine: { name: chosen.name, version: chosen.version } };
}

async function chooseEngine(host: Host, version: string, changes: Change[]): Promise<void> {
  const survey = await surveyEngines(host);
  const chosen = cudaEngine(survey);
  if (chosen === null) {
    const found = survey.judged.map((one) => `${engineId(one)} ${one.compatibility?.status ?? "unknown"}`).join(", ");
    host.say(`no CUDA engine of LM Studio fits this host, so models run on the processor; found ${found || "none"}`);
    return;
  }
  await changeInstalled(host, () => ({ engine: { ...chosen, of: version } }));
  const selected = survey.installed.find((one) => one.selected)?.id ?? null;
  if (selected !== engineId(chosen)) changes.push({ what: "engine", from: selected, to: engineId(chosen) });
}

/** From here if it was kept, else from its archive. */
async function stage(host: Host, document: LmstudioDocument): Promise<Candidate> {
  const { version, sha512 } = document;
  if (sha512 === undefined) {
    throw new HostFailure(
      "bad_document",
      "lmstudio.sha512 is needed: this host has no LM Studio that could be taken over",
      "put the sha512 of that version's tarball into the spec",
    );
  }
  await requireMachine(host, document);
  const kept = await keptVersion(host, version, sha512);
  return { document, sha512, folder: kept ?? (await stageTarball(host, document, sha512)) };
}

/** What would fail later anyway fails before anything is touched. */
async function refuseEarly(host: Host, { become, backendPort }: LmstudioDocument): Promise<void> {
  await refuseSystemUnit(host, become, services.supervisor);
  const daemon = await daemonStatus(host);
  if (daemon.running && !daemon.isDaemon) {
    throw new HostFailure(
      "gui_owns_daemon",
      `LM Studio's desktop application runs on this host and owns the daemon (pid ${daemon.pid ?? "unknown"})`,
      "quit it (also from the tray), then run up again",
    );
  }
  if ((await listeners(host, backendPort)).length > 0 && (await greeting(backendPort)) === "no") {
    throw new HostFailure(
      "port_in_use",
      `port ${backendPort} on this host is taken by something that is not LM Studio`,
      "end that program or choose another lmstudio.backendPort",
    );
  }
}

async function adopt(host: Host, document: LmstudioDocument, version: string | null, changes: Change[]): Promise<void> {
  const first = (await readAdopted(host)) === null;
  const found = await recordAdoption(host, version);
  if (!first && version === document.version) return;
  const different =
    version === document.version ? "" : `; the spec's ${document.version} applies to what lmstack installs`;
  host.say(
    `LM Studio ${version ?? "of an unknown version"} is on this host already and is taken over as it is${different}`,
  );
  if (!first) return;
  changes.push({
    what: "LM Studio",
    from: null,
    to: `taken over: ${version ?? "unknown version"}, daemon ${found.daemonRunning ? "running" : "stopped"}, ${found.instances.length} loaded`,
  });
}

/** What lmstack installed goes; what was there before is as it was, its daemon outside of our service. */
export async function removeLmstudio(host: Host, become: Become): Promise<void> {
  const adopted = await readAdopted(host);
  await dropLmstudio(host);
  await supervisorService(host, become).remove();
  if (adopted !== null) await giveBack(host, adopted);
  else if ((await readInstalled(host)) !== null) {
    await daemonDown(host);
    await restoreSettings(host);
    await uninstall(host);
  }
  for (const path of [
    host.paths.desired,
    host.paths.run,
    host.paths.adopted,
    join(host.paths.state, "settings.json"),
  ]) {
    await rm(path, { recursive: true, force: true });
  }
  await dropFiles(host);
  await forgetService(host, "supervisor");
  await clearIncidents(host, "lmstudio");
  await dropToken(host, "lmstudio");
}

async function giveBack(host: Host, adopted: Adopted): Promise<void> {
  if (!(await lmsExists(host))) return;
  // Settings were written only if the daemon was down at some time; then it is ours, has just been stopped, and they can be put back.
  if (!(await daemonStatus(host)).running) await restoreSettings(host);
  if (!adopted.daemonRunning) return;
  host.say("leaving LM Studio's daemon running, as it was found");
  await daemonUp(host);
  if (adopted.server !== null) {
    if ((await greeting(adopted.server.port)) !== "yes") {
      await serverStop(host);
      await serverStart(host, adopted.server.port, adopted.server.bind);
    }
  }
  const there = await ps(host);
  for (const instance of adopted.instances) {
    if (instance.path === null || there.some((one) => one.identifier === instance.identifier)) continue;
    host.say(`loading ${instance.identifier} again, as it was found`);
    const { identifier, path, contextLength, parallel } = instance;
    await load(
      host,
      { identifier, exactPath: path, contextLength: contextLength ?? 4096, parallel: parallel ?? 1, gpu: "max" },
      {},
    ).catch((error: unknown) =>
      host.say(`${identifier} could not be loaded again: ${error instanceof Error ? error.message : String(error)}`),
    );
  }
}
