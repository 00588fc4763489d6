/** The load of one instance and its end; both are proved by what the server then tells. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { modelOfInstance } from "../../infra/spec/model-names.ts";
import { HostFailure } from "../failure.ts";
import { paced } from "../host.ts";
import { instances } from "../lmstudio/http.ts";
import { load, ps, unload } from "../lmstudio/lms.ts";
import { modelsFolder } from "../lmstudio/settings.ts";
import { markOf } from "../process.ts";
import type { Acting } from "./act.ts";
import { type DesiredModel, mismatch } from "./decide.ts";
import { estimateOf, requireMemory } from "./memory.ts";
import { tellInstances } from "./switchboard.ts";
import { until } from "./until.ts";

export async function unloadInstance(identifier: string, because: string, acting: Acting): Promise<void> {
  const { host, port, notebook, watch, say } = acting;
  say(`unloading ${identifier}: ${because}`);
  await unload(host, identifier);
  await until(
    async () => !(await instances(port))?.some((one) => one.identifier === identifier),
    10_000,
    () => {
      throw new HostFailure(
        "load_failed",
        `${identifier} is still loaded after \`lms unload\``,
        "look at `lms ps` on the host",
      );
    },
  );
  watch.forgetPath(identifier);
  await notebook.unloaded(identifier);
}

/** Where nothing of the model is loaded. */
export async function loadModel(model: DesiredModel, acting: Acting): Promise<void> {
  const { host, notebook, holds, signal } = acting;
  const { identifier, exactPath } = model;
  await requireFile(model, acting);
  // The last look, as near to the load as can be: a second load would make an instance of its own.
  const there = (await ps(host)).find((one) => modelOfInstance(one.identifier) === identifier);
  if (there !== undefined) {
    if (there.path === null || there.path === exactPath) return;
    // The server lists what lies on the disk: an instance whose file was imported elsewhere meanwhile is loaded, but not told of.
    await holds.begin(identifier);
    if (signal.aborted) return;
    await unloadInstance(there.identifier, `file ${there.path} instead of ${exactPath}`, acting);
  }
  await requireMemory(host, model, await estimateOf(host, model), null);
  await loadInstance(model, identifier, acting);
  await notebook.serving(identifier, identifier);
  await notebook.good(model);
  await tellInstances(host, notebook.memory.serves);
}

export async function requireFile({ identifier, exactPath }: DesiredModel, { host }: Acting): Promise<void> {
  const file = join(await modelsFolder(host), exactPath);
  await access(file).catch(() => {
    throw new HostFailure(
      "file_missing",
      `the file of model ${identifier} is gone: ${file}`,
      "put it back, or correct source.path in the spec",
    );
  });
}

/** Under a name that nothing has. When it fails, nothing is left of it. */
export async function loadInstance(model: DesiredModel, name: string, acting: Acting): Promise<void> {
  const { host, port, notebook, watch, say, signal } = acting;
  const { contextLength, parallel, gpu } = model;
  const started = Date.now();
  say(`loading ${name} (context ${contextLength}, parallel ${parallel}, gpu ${gpu})`);
  const stillLoading = paced(say, 5000);
  const ticker = setInterval(() => stillLoading(`still loading ${name} (${seconds(started)} s)`), 5000);
  await notebook.loading(name, model.digest);
  try {
    const request = { ...model, identifier: name };
    await load(host, request, { signal, onPid: (pid) => notebook.busyWith(markOf(pid)) });
    const loaded = (await instances(port))?.find((one) => one.identifier === name);
    const wrong = loaded === undefined ? "no such instance is there" : mismatch(model, loaded, notebook.memory);
    if (wrong !== null) {
      if (loaded !== undefined) await unload(host, name);
      throw new HostFailure(
        "load_failed",
        `${name} was loaded, but ${wrong}`,
        "the model may not allow that; change its load settings in the spec",
      );
    }
  } catch (error) {
    await notebook.unloaded(name);
    throw error;
  } finally {
    clearInterval(ticker);
    notebook.busyWith(null);
  }
  watch.forgetPath(name);
  say(`${name} loaded in ${seconds(started)} s`);
}

function seconds(since: number): string {
  return ((Date.now() - since) / 1000).toFixed(1);
}
