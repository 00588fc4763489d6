/** Carries out one action and proves its effect; throws a HostFailure with the reason when it did not come about. */
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { isLoopback, listeners } from "../listeners.ts";
import { greeting } from "../lmstudio/http.ts";
import { daemonUp, ensureEngine, serverStart, serverStop } from "../lmstudio/lms.ts";
import { applySettings } from "../lmstudio/settings.ts";
import { markOf } from "../process.ts";
import { type Action, engineId } from "./decide.ts";
import type { Holds } from "./hold.ts";
import { loadModel, unloadModel } from "./loading.ts";
import type { Notebook } from "./notebook.ts";
import { until } from "./until.ts";
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
  const { host, port, notebook, watch, say } = acting;
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
    case "unload":
      return await unloadModel(action, acting);
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
