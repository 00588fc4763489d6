/**
 * An upgrade: the newer version is unpacked beside the one that serves, switched to, proved, and taken back by itself when it does not do
 * what the older one did. Whoever is killed meanwhile, the record of the trial says what has to be undone.
 */
import type { LmstudioDocument } from "../../infra/spec/host-documents.ts";
import { asFailure, HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { bootstrap, pruneVersions } from "../lmstudio/installation.ts";
import { changeInstalled, readInstalled, type Trial } from "../lmstudio/installed.ts";
import { daemonDown } from "../lmstudio/lms.ts";
import { applySettings } from "../lmstudio/settings.ts";
import { installedVersion } from "../lmstudio/versions.ts";
import { withLock } from "../lock.ts";
import type { Service } from "../service/service.ts";
import { askSupervisor, settled } from "../supervisor/ask.ts";
import { lmstudioDigest, readDesired, storeLmstudio } from "../supervisor/desired.ts";
import type { SupervisorStatus } from "../supervisor/status.ts";
import { dropFiles, keepFiles } from "./kept-files.ts";
import { showing, worse } from "./proof.ts";
import { upgradeLock } from "./tend.ts";
import { goBack } from "./way-back.ts";

const readyMs = 1_800_000;

export interface Candidate {
  readonly document: LmstudioDocument;
  readonly sha512: string;
  /** Holds the verified version. */
  readonly folder: string;
}

/** Undoes a trial that was broken off. */
export async function endLeftOver(host: Host, service: Service): Promise<void> {
  if (((await readInstalled(host))?.trial ?? null) === null) return;
  await withLock(host, upgradeLock, "the way back from an upgrade", () => takeBack(host, service));
}

/** @throws what was wrong with the newer version, when the older one serves again */
export async function tryVersion(
  host: Host,
  candidate: Candidate,
  from: string,
  before: LmstudioDocument,
  service: Service,
): Promise<void> {
  const trial: Trial = { from, to: candidate.document.version, phase: "switching", before };
  await withLock(host, upgradeLock, `the upgrade to LM Studio ${trial.to}`, async () => {
    const models = (await readDesired(host)).models.map(({ identifier }) => identifier);
    const was = await showing(before.backendPort, models);
    await keepFiles(host);
    await changeInstalled(host, () => ({ trial }));
    try {
      await switchTo(host, candidate, service);
      await changeInstalled(host, () => ({ trial: { ...trial, phase: "proving" } }));
      const ready = await served(host, candidate.document);
      const is = await showing(candidate.document.backendPort, models);
      const fault = failedModel(ready, was?.loaded ?? models) ?? worse(models, was, is);
      if (fault !== null) throw fault;
      const { pid } = (await served(host, candidate.document)).daemon;
      if (pid !== ready.daemon.pid)
        throw new HostFailure("daemon_failed", "its daemon died while it was asked", "look at its logs on the host");
    } catch (error) {
      throw await givenUp(host, asFailure(error), trial, service);
    }
    await changeInstalled(host, () => ({ good: trial.to, trial: null }));
    await dropFiles(host);
    // The way back by hand: the version before is there for as long as this one is the newest.
    await pruneVersions(host, [trial.to, from]);
  });
}

async function switchTo(host: Host, { document, sha512, folder }: Candidate, service: Service): Promise<void> {
  // The supervisor that comes up finds the trial, and keeps its hands off before it has looked at anything.
  if (!(await service.state()).active) await service.install();
  await service.restart();
  await daemonDown(host);
  await bootstrap(host, document.version, sha512, folder);
  await applySettings(host, document.backendPort);
  await storeLmstudio(host, document);
}

/** Until the supervisor has brought up LM Studio and every model, or says why it cannot. */
async function served(host: Host, document: LmstudioDocument): Promise<SupervisorStatus> {
  return await askSupervisor(
    host,
    `LM Studio ${document.version}`,
    readyMs,
    ({ lmstudio, models }) =>
      settled(lmstudio, lmstudioDigest(document), "LM Studio") &&
      Object.values(models).every(({ state }) => state !== "working"),
  );
}

function failedModel({ models }: SupervisorStatus, expected: readonly string[]): HostFailure | null {
  for (const id of expected) {
    const model = models[id];
    if (model?.state === "failed")
      return new HostFailure(model.code ?? "load_failed", model.reason ?? `model ${id} failed`, model.hint ?? "");
  }
  return null;
}

/** @returns the failure that tells it all */
async function givenUp(
  host: Host,
  why: HostFailure,
  { from, to, before }: Trial,
  service: Service,
): Promise<HostFailure> {
  host.say(`LM Studio ${to} is given up: ${why.message}`);
  try {
    await takeBack(host, service);
    await served(host, before);
  } catch (error) {
    const { message, hint } = asFailure(error);
    return new HostFailure(
      why.code,
      `LM Studio ${to} was given up: ${why.message}; and ${from} does not serve again yet: ${message}`,
      hint,
      error,
    );
  }
  return new HostFailure(
    why.code,
    `LM Studio ${to} was tried and given up: ${why.message}; ${from} serves again`,
    `set lmstudio.version back to ${from} with its sha512, or mend what is said here and run up again (${why.hint})`,
    why,
  );
}

async function takeBack(host: Host, service: Service): Promise<void> {
  await changeInstalled(host, ({ trial }) => ({ trial: trial && { ...trial, phase: "returning" } }));
  await service.restart();
  await goBack(host);
  const version = await installedVersion(host);
  host.say(`LM Studio ${version ?? "of no version"} is back`);
}
