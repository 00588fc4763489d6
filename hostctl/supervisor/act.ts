/** Carries out one action and proves its effect; throws a HostFailure with the reason when it did not come about. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { HostFailure } from "../failure.ts";
import { type Host, paced } from "../host.ts";
import { isLoopback, listeners } from "../listeners.ts";
import { greeting, instances } from "../lmstudio/http.ts";
import { daemonUp, ensureEngine, load, ps, serverStart, serverStop, unload } from "../lmstudio/lms.ts";
import { applySettings, modelsFolder } from "../lmstudio/settings.ts";
import { pause } from "../pause.ts";
import { markOf } from "../process.ts";
import { type Action, type DesiredModel, engineId, mismatch } from "./decide.ts";
import type { Holds } from "./hold.ts";
import type { Notebook } from "./notebook.ts";
import type { Watch } from "./world.ts";

export interface Acting {
  readonly host: Host;
  readonly port: number;
  readonly notebook: Notebook;
  readonly watch: Watch;
  readonly holds: Holds;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export async function act(action: Action, acting: Acting): Promise<void> {
  const { host, port, notebook, watch, holds, say, signal } = acting;
  switch (action.do) {
    case "start-daemon": {
      say("starting LM Studio's daemon");
      // The daemon is down: the moment in which settings may be written.
      await applySettings(host, port);
      const daemon = await daemonUp(host);
      if (!daemon.isDaemon) {
        throw new HostFailure(
          "gui_owns_daemon",
          "LM Studio's desktop application owns the daemon on this host",
          "quit LM Studio on the host, then run up again",
        );
      }
      watch.daemon = daemon.pid === null ? null : markOf(daemon.pid);
      await notebook.newDaemon(watch.daemon, true);
      return;
    }
    case "select-engine": {
      say(`checking the engine ${engineId(action.engine)}`);
      await ensureEngine(host, action.engine);
      await notebook.engineProved(engineId(action.engine));
      return;
    }
    case "stop-server": {
      say("stopping LM Studio's server: it listens on another port or address than declared");
      await serverStop(host);
      return;
    }
    case "start-server":
      return await startServer(acting);
    case "unload": {
      if (action.again) await holds.begin(action.identifier);
      if (signal.aborted) return;
      say(`unloading ${action.identifier}: ${action.because}`);
      await unload(host, action.identifier);
      await until(
        async () => !(await instances(port))?.some((one) => one.identifier === action.identifier),
        10_000,
        () => {
          throw new HostFailure(
            "load_failed",
            `${action.identifier} is still loaded after \`lms unload\``,
            "look at `lms ps` on the host",
          );
        },
      );
      watch.forgetPath(action.identifier);
      await notebook.unloaded(action.identifier);
      return;
    }
    case "load":
      return await loadModel(action.model, acting);
  }
}

async function startServer({ host, port, say }: Acting): Promise<void> {
  say(`starting LM Studio's server on 127.0.0.1:${port}`);
  if ((await listeners(host, port)).length > 0 && (await greeting(port)) === "no") {
    throw new HostFailure(
      "port_in_use",
      `port ${port} on this host is taken by something that is not LM Studio`,
      "end that program or choose another lmstudio.backendPort",
    );
  }
  const said = await serverStart(host, port);
  await until(
    async () => (await greeting(port)) === "yes",
    10_000,
    () => {
      throw new HostFailure(
        "server_failed",
        `LM Studio's server does not greet on 127.0.0.1:${port}: ${said}`,
        "look at ~/.lmstudio/server-logs on the host",
      );
    },
  );
  const wrong = (await listeners(host, port)).find((listener) => !isLoopback(listener.address));
  if (wrong === undefined) return;
  throw new HostFailure(
    "server_failed",
    `LM Studio's server listens on ${wrong.address}:${port} although it was told 127.0.0.1`,
    "look at networkInterface in ~/.lmstudio/.internal/http-server-config.json",
  );
}

async function loadModel(model: DesiredModel, acting: Acting): Promise<void> {
  const { host, port, notebook, watch, holds, say, signal } = acting;
  const { identifier, contextLength, parallel, gpu, exactPath } = model;
  const file = join(await modelsFolder(host), exactPath);
  await access(file).catch(() => {
    throw new HostFailure(
      "file_missing",
      `the file of model ${identifier} is gone: ${file}`,
      "put it back, or correct source.path in the spec",
    );
  });
  // The last look, as near to the load as can be: a second load would make an instance of its own.
  const there = (await ps(host)).find((one) => one.identifier === identifier);
  if (there !== undefined) {
    if (there.path === null || there.path === exactPath) return;
    // The server lists what lies on the disk: an instance whose file was imported elsewhere meanwhile is loaded, but not told of.
    await holds.begin(identifier);
    if (signal.aborted) return;
    say(`unloading ${identifier}: file ${there.path} instead of ${exactPath}`);
    await unload(host, identifier);
  }
  const started = Date.now();
  say(`loading ${identifier} (context ${contextLength}, parallel ${parallel}, gpu ${gpu})`);
  const stillLoading = paced(say, 5000);
  const ticker = setInterval(() => stillLoading(`still loading ${identifier} (${seconds(started)} s)`), 5000);
  await notebook.loading(identifier, model.digest);
  try {
    await load(host, model, { signal, onPid: (pid) => notebook.busyWith(markOf(pid)) });
    const loaded = (await instances(port))?.find((one) => one.identifier === identifier);
    const wrong = loaded === undefined ? "no such instance is there" : mismatch(model, loaded, notebook.memory);
    if (wrong !== null) {
      if (loaded !== undefined) await unload(host, identifier);
      throw new HostFailure(
        "load_failed",
        `${identifier} was loaded, but ${wrong}`,
        "the model may not allow that; change its load settings in the spec",
      );
    }
  } catch (error) {
    await notebook.unloaded(identifier);
    throw error;
  } finally {
    clearInterval(ticker);
    notebook.busyWith(null);
  }
  watch.forgetPath(identifier);
  say(`${identifier} loaded in ${seconds(started)} s`);
}

function seconds(since: number): string {
  return ((Date.now() - since) / 1000).toFixed(1);
}

async function until(test: () => Promise<boolean>, withinMs: number, otherwise: () => never): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await test())) {
    if (Date.now() > deadline) otherwise();
    await pause(100);
  }
}
