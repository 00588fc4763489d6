/** Carries out one action and proves its effect; throws a HostFailure with the reason when it did not come about. */
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { isLoopback, listeners } from "../listeners.ts";
import { endDaemon } from "../lmstudio/daemons.ts";
import { greeting } from "../lmstudio/http.ts";
import { daemonDown, daemonUp, ensureEngine, serverStart, serverStop } from "../lmstudio/lms.ts";
import { applySettings } from "../lmstudio/settings.ts";
import { markOf } from "../process.ts";
import { controlGroupOf } from "./control-group.ts";
import { type Action, engineId } from "./decide.ts";
import { type Holds, patienceMs } from "./hold.ts";
import { loadModel, unloadInstance } from "./loading.ts";
import type { Notebook } from "./notebook.ts";
import { swapModel } from "./swap.ts";
import { drained } from "./switchboard.ts";
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
  const { host, notebook, say, signal } = acting;
  switch (action.do) {
    case "start-daemon":
      return await startDaemon(acting);
    case "end-daemon": {
      // What serves nobody and answers goes politely.
      if (action.politely) await daemonDown(host);
      else if (!(await endDaemon(host, action.pid, 3000))) {
        throw new HostFailure(
          "daemon_hangs",
          `LM Studio's daemon (pid ${action.pid}) cannot be ended`,
          `end pid ${action.pid} by hand`,
        );
      }
      return;
    }
    case "select-engine": {
      await ensureEngine(host, action.engine);
      await notebook.engineProved(engineId(action.engine));
      return;
    }
    case "stop-server":
      return await stopServer(acting);
    case "start-server":
      return await startServer(acting);
    case "unload": {
      if (action.drains) await drained(host, action.identifier, patienceMs, say, signal);
      if (!signal.aborted) await unloadInstance(action.identifier, action.because, acting);
      return;
    }
    case "load":
      return await loadModel(action.model, acting);
    case "swap":
      return await swapModel(action, acting);
  }
}

async function startDaemon({ host, port, notebook, watch }: Acting): Promise<void> {
  const gui = () =>
    new HostFailure(
      "gui_owns_daemon",
      "LM Studio's desktop application owns the daemon on this host",
      "quit LM Studio on the host, then run up again",
    );
  if (watch.guiOwns) throw gui();
  // The daemon is down: the moment in which settings may be written.
  await applySettings(host, port);
  const daemon = await daemonUp(host);
  if (!daemon.isDaemon) throw gui();
  watch.daemon = daemon.pid === null ? null : markOf(daemon.pid);
  // Another program's call may have been quicker, and then the daemon is in that one's control group.
  await notebook.newDaemon(watch.daemon, daemon.pid !== null && (await controlGroupOf(daemon.pid)) !== "another");
}

/** What still listens afterwards was not stopped, whatever `lms` said. */
async function stopServer({ host, port }: Acting): Promise<void> {
  await serverStop(host);
  await until(
    async () => (await greeting(port)) === "no",
    5000,
    () => {
      throw new HostFailure(
        "server_failed",
        `LM Studio's server still takes connections on port ${port} after \`lms server stop\``,
        "look at ~/.lmstudio/server-logs on the host",
      );
    },
  );
}

async function startServer({ host, port }: Acting): Promise<void> {
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
