/** `llmster` running: models, engines and the HTTP server of one LM Studio home, behind the calls that `lms` makes. */
import { mkdtemp, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { engineOf } from "../engine/choose.ts";
import { type RunningServer, startHttpServer } from "../http/server.ts";
import { fileJournal, type Journal } from "../journal.ts";
import { readTraps, type Traps } from "../traps.ts";
import { scanModels } from "./catalog.ts";
import {
  addEngine,
  installedEngines,
  removeEngine,
  selectEngine,
  selectedEngine,
  survey,
  updateEngines,
} from "./engines.ts";
import { reportedVersion, tempFolder, writeKey } from "./home.ts";
import { Instances } from "./instances.ts";
import type { Calls, Handlers, ServerCall } from "./protocol.ts";
import { ServerLog } from "./server-log.ts";
import {
  mergeServerConfig,
  readModelDefaults,
  readServerConfig,
  readSettings,
  rewriteSettings,
  updatesEngines,
} from "./settings.ts";

export class Daemon {
  readonly log: ServerLog;
  readonly handlers: Handlers;
  readonly #home: string;
  readonly #version: string;
  readonly #journal: Journal;
  readonly #instances: Instances;
  readonly #started = performance.now();
  readonly #lastLoaded: string[] = [];
  readonly #exit: () => void;
  #server: RunningServer | null = null;

  constructor(home: string, version: string, exit: () => void) {
    this.#home = home;
    this.#version = version;
    this.#exit = exit;
    this.#journal = fileJournal(home);
    this.log = new ServerLog(home);
    this.#instances = new Instances({
      catalog: () => scanModels(home),
      settings: () => readSettings(home),
      modelDefaults: (model) => readModelDefaults(home, model),
      traps: () => this.#traps(),
      journal: this.#journal,
      engineOf,
      beforeLoad: () => this.#beforeLoad(),
    });
    this.handlers = this.#makeHandlers();
  }

  /** Settings are rewritten at every start; the HTTP server comes up by itself only where the configuration says so. */
  async start(): Promise<void> {
    rewriteSettings(this.#home);
    writeKey(this.#home);
    if (this.#traps().engineUpdatesItself && updatesEngines(this.#home)) updateEngines(this.#home, this.#traps());
    this.#journal.add({ event: "daemon", what: "start", pid: process.pid });
    const config = readServerConfig(this.#home);
    if (config.autoStartOnLaunch)
      await this.#listen({ port: config.port, bind: config.networkInterface, cors: config.cors }).catch(() => {});
  }

  #traps(): Traps {
    return readTraps(this.#home, this.#version);
  }

  async stop(): Promise<void> {
    await this.#server?.close();
    await this.#instances.close();
    this.#journal.add({ event: "daemon", what: "exit", pid: process.pid });
  }

  status(): Calls["status"]["out"] {
    return {
      home: this.#home,
      pid: process.pid,
      isDaemon: !this.#traps().ownedByGui,
      version: reportedVersion(this.#version),
    };
  }

  /** Loads need a scratch folder that the 0.0.25 installer forgot to make. */
  async #beforeLoad(): Promise<void> {
    this.#checkBusy();
    await rmdir(await mkdtemp(join(tempFolder(this.#home), "load-")));
  }

  /** Right after its start the daemon is still writing the engines' executables. */
  #checkBusy(): void {
    if (performance.now() - this.#started < this.#traps().textFileBusyMs)
      throw new Error("Failed to start the engine: Text file busy");
  }

  async #listen(call: ServerCall): Promise<void> {
    await this.#server?.close();
    this.#server = null;
    if (this.#traps().serverDoesNotListen) return;
    this.#server = await startHttpServer({
      host: call.bind,
      port: call.port,
      cors: call.cors,
      instances: this.#instances,
      journal: this.#journal,
      traps: () => this.#traps(),
      log: (type, data) => this.log.add(type, data),
    });
  }

  #makeHandlers(): Handlers {
    const home = this.#home;
    return {
      status: async () => this.status(),
      down: async () => {
        // The answer goes out first; the process is there for a while longer.
        setTimeout(this.#exit, this.#traps().downExitMs);
        return null;
      },
      list: async () => {
        const rank = (path: string): number =>
          this.#lastLoaded.includes(path) ? this.#lastLoaded.indexOf(path) : this.#lastLoaded.length;
        return scanModels(home).sort((a, b) => rank(a.path) - rank(b.path));
      },
      loaded: async () =>
        this.#instances
          .list()
          .map(({ model, identifier, ttlMs, lastUsedTime, contextLength, status, slots, parallel }) => ({
            model,
            identifier,
            ttlMs,
            lastUsedTime,
            contextLength,
            status,
            queued: slots.queued,
            parallel,
          })),
      load: async ({ path, ...options }) => {
        const model = scanModels(home).find((candidate) => candidate.path === path);
        if (model === undefined) throw new Error(`Model not found: ${path}`);
        const instance = await this.#instances.load({ model, ...options });
        this.#lastLoaded.splice(
          0,
          this.#lastLoaded.length,
          path,
          ...this.#lastLoaded.filter((other) => other !== path),
        );
        return { identifier: instance.identifier, sizeBytes: model.sizeBytes };
      },
      estimate: async ({ path, ...options }) => {
        const model = scanModels(home).find((candidate) => candidate.path === path);
        if (model === undefined) throw new Error(`Model not found: ${path}`);
        return this.#instances.estimate({ model, ...options });
      },
      unload: ({ identifier }) => this.#instances.unload(identifier),
      startServer: async (call) => {
        // The port sticks, whether or not the server comes up on it; address and CORS do not.
        mergeServerConfig(home, { port: call.port });
        await this.#listen(call);
        return null;
      },
      stopServer: async () => {
        const port = this.#server?.port;
        if (port === undefined) return null;
        await this.#server?.close();
        this.#server = null;
        return { port };
      },
      engines: async () => {
        return { installed: installedEngines(home), selected: selectedEngine(home, this.#traps()) };
      },
      survey: async () => {
        this.#checkBusy();
        return survey(home);
      },
      selectEngine: async (engine) => {
        this.#checkBusy();
        selectEngine(home, engine);
        return null;
      },
      addEngine: async (engine) => {
        addEngine(home, engine);
        return null;
      },
      removeEngine: async (engine) => {
        removeEngine(home, engine);
        return null;
      },
    };
  }
}
