/** The load of one model and its end; both are proved by what the server then tells. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { HostFailure } from "../failure.ts";
import { paced } from "../host.ts";
import { instances } from "../lmstudio/http.ts";
import { load, ps, unload } from "../lmstudio/lms.ts";
import { modelsFolder } from "../lmstudio/settings.ts";
import { markOf } from "../process.ts";
import type { Acting } from "./act.ts";
import { type Action, type DesiredModel, mismatch } from "./decide.ts";
import { until } from "./until.ts";

export async function unloadModel(action: Extract<Action, { do: "unload" }>, acting: Acting): Promise<void> {
  const { host, port, notebook, watch, holds, say, signal } = acting;
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
}

export async function loadModel(model: DesiredModel, acting: Acting): Promise<void> {
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
