/** Facts of this host, read-only and quick: files, the process table, HTTP on loopback. `lms` is called only when the server is silent. */
import { realpath } from "node:fs/promises";
import { join } from "node:path";
import type { ObserveDocument, Observed, ObservedModel } from "../infra/spec/host-documents.ts";
import { modelOfInstance } from "../infra/spec/model-names.ts";
import { readAdopted } from "./adoption.ts";
import { readJson } from "./atomic-file.ts";
import { containersOf, imagePresent } from "./docker.ts";
import type { Host } from "./host.ts";
import { readIncidents } from "./incidents.ts";
import { readJournal } from "./journal.ts";
import { isLoopback, listeners, ownerOf } from "./listeners.ts";
import { greeting, instances } from "./lmstudio/http.ts";
import { daemonStatus, type LoadedInstance } from "./lmstudio/lms.ts";
import { modelDefaults, modelDefaultsDrift } from "./lmstudio/model-defaults.ts";
import { settingsDrift } from "./lmstudio/settings.ts";
import { installedVersion } from "./lmstudio/versions.ts";
import { isSame } from "./process.ts";
import { observedProof, subjectsNow } from "./prove/kept-proofs.ts";
import { exactPath, importTargets } from "./resources/import.ts";
import { isVerified } from "./resources/model-file.ts";
import { modelParts } from "./resources/model-parts.ts";
import { observeProxyFiles } from "./resources/proxy-files.ts";
import { observedService, recordedService } from "./service/record.ts";
import { supervisorService } from "./service/service.ts";
import { keptDaemon } from "./supervisor/notebook.ts";
import { failingIn, type SupervisorStatus } from "./supervisor/status.ts";

export async function observe(host: Host, document: ObserveDocument): Promise<Observed> {
  const { become, stack } = document;
  const status = readJson<SupervisorStatus>(join(host.paths.run, "status.json"));
  const [lmstudio, proxy, containers, image, incidents, journal] = await Promise.all([
    observeLmstudio(host, document, status),
    observeProxyFiles(host, become),
    containersOf(host, stack),
    imagePresent(host),
    readIncidents(host),
    readJournal(host),
  ]);
  const found = lmstudio.server.port === null ? null : await instances(lmstudio.server.port);
  const subjects = await subjectsNow(host);
  const models = await Promise.all(
    document.models.map(async (model) => {
      const subject = subjects.find(({ id }) => id === model.id);
      const proof = subject === undefined ? null : await observedProof(host, subject);
      return [model.id, { ...(await observeModel(host, model, found ?? [])), proof }] as const;
    }),
  );
  return {
    lmstudio,
    models: Object.fromEntries(models),
    incidents,
    failing: failingIn(await status),
    journal,
    proxy: { ...proxy, imagePresent: image, containers },
  };
}

async function observeLmstudio(
  host: Host,
  { become, backendPort, lmstudio }: ObserveDocument,
  supervisor: Promise<SupervisorStatus | null>,
): Promise<Observed["lmstudio"]> {
  const service = supervisorService(host, become, lmstudio.mounts);
  const [version, adopted, state, expectedSha256, drift, server, status] = await Promise.all([
    installedVersion(host),
    readAdopted(host),
    service.state(),
    recordedService(host, "supervisor"),
    settingsDrift(host),
    observeServer(host, backendPort),
    supervisor,
  ]);
  const pid = await daemonPid(host, server.port);
  return {
    installedVersion: version,
    daemon: { running: pid !== null, pid, supervised: pid !== null && state.active && status?.daemon.pid === pid },
    server,
    service: observedService(state, expectedSha256),
    settingsDrift: drift,
    engine: status?.engine ?? null,
    adopted: adopted !== null,
  };
}

/** On the declared port; else on the one that LM Studio's own file names. */
async function observeServer(host: Host, declared: number): Promise<Observed["lmstudio"]["server"]> {
  const file = join(host.paths.lmstudio, ".internal", "http-server-config.json");
  const other = (await readJson<{ port?: number }>(file))?.port;
  for (const port of new Set([declared, other ?? declared])) {
    if ((await greeting(port)) === "no") continue;
    const addresses = (await listeners(host, port)).map((listener) => listener.address);
    return { greeting: true, port, address: addresses.find((address) => !isLoopback(address)) ?? addresses[0] ?? null };
  }
  return { greeting: false, port: null, address: null };
}

/** From the supervisor's notes, else from who holds the server's socket, else from `lms`, which is slow. */
async function daemonPid(host: Host, port: number | null): Promise<number | null> {
  const { daemon } = await keptDaemon(host);
  if (isSame(daemon)) return daemon.pid;
  const owner = port !== null && host.platform === "linux" ? ownerOf(await listeners(host, port)) : null;
  return owner ?? (await daemonStatus(host).catch(() => null))?.pid ?? null;
}

async function observeModel(
  host: Host,
  model: ObserveDocument["models"][number],
  all: readonly LoadedInstance[],
): Promise<ObservedModel> {
  const targets = await importTargets(host, model, await modelParts(host, model));
  return {
    // Every part, and for a link what it points to.
    imported: await Promise.all(targets.map((target) => realpath(target))).then(
      () => targets.length > 0,
      () => false,
    ),
    verified: await isVerified(host, model),
    defaultsDrift: await modelDefaultsDrift(host, exactPath(model), modelDefaults(model.load)),
    instances: all
      .filter(({ identifier }) => modelOfInstance(identifier.replace(/:\d+$/, "")) === model.id)
      .map(({ identifier, contextLength, parallel }) => ({
        // Whichever of its names it has, it is the model.
        identifier: modelOfInstance(identifier),
        contextLength,
        parallel,
      })),
  };
}
