/**
 * A loaded model changes: another file, other settings. Where memory allows, the new instance is loaded beside the old one, proved, and the proxies are
 * sent to it; the old one goes when its last request has ended. Else the proxies hold new requests, running ones end, and the one takes the other's
 * place. Whatever fails is thrown with nothing of the new instance left; `decide` then returns to what served before.
 */
import { besideName } from "../../infra/spec/model-names.ts";
import type { Depth } from "../../infra/spec/proof/prove-model.ts";
import { asFailure } from "../failure.ts";
import { proofFailure, proveOnce } from "../prove/prove-once.ts";
import { provedModel } from "../prove/proved-model.ts";
import { adminSockets } from "../resources/admin-sockets.ts";
import type { Acting } from "./act.ts";
import type { Action, DesiredModel } from "./decide.ts";
import { loadInstance, requireFile, unloadInstance } from "./loading.ts";
import { estimateOf, fitsBeside, freeMemory, requireMemory } from "./memory.ts";
import { proxiesFollow, requireFollowed, tellInstances } from "./switchboard.ts";

export async function swapModel(
  { model, from, because }: Extract<Action, { do: "swap" }>,
  acting: Acting,
): Promise<void> {
  const { host, notebook } = acting;
  await requireFile(model, acting);
  const estimate = await estimateOf(host, model);
  await requireMemory(host, model, estimate, notebook.memory.good[model.identifier] ?? null);
  // A proxy that cannot follow would go on asking for the old instance.
  const follows = await proxiesFollow(host);
  if (follows && fitsBeside(estimate, await freeMemory(host)) && (await beside(model, from, because, acting))) return;
  await inPlace(model, from, because, follows, acting);
}

/** False when there was no room after all. */
async function beside(model: DesiredModel, from: string, because: string, acting: Acting): Promise<boolean> {
  const { identifier } = model;
  const to = from === identifier ? besideName(identifier) : identifier;
  acting.say(`${identifier}: ${because}; the new one is loaded beside it`);
  try {
    await loadInstance(model, to, acting);
  } catch (error) {
    if (!/memory|alloc/i.test(asFailure(error).message)) throw error;
    acting.say(`${identifier}: there is no room for both: its requests wait for the swap`);
    return false;
  }
  await orUnload(to, acting, async () => {
    await proveInstance(model, to, "thinking", acting);
    await serve(to, model, acting);
  });
  await acting.notebook.good(model);
  return true;
}

/** New requests wait for the load and one token, not for the whole proof: what fails that goes back the same way. */
async function inPlace(
  model: DesiredModel,
  from: string,
  because: string,
  follows: boolean,
  acting: Acting,
): Promise<void> {
  const { identifier } = model;
  await acting.holds.begin(identifier);
  if (acting.signal.aborted) return;
  await unloadInstance(from, because, acting);
  await loadInstance(model, identifier, acting);
  await orUnload(identifier, acting, async () => {
    if (follows) await proveInstance(model, identifier, "pulse", acting);
    await serve(identifier, model, acting);
  });
  await acting.holds.end(identifier);
  if (follows) await proveInstance(model, identifier, "thinking", acting);
  await acting.notebook.good(model);
}

/**
 * By the proxy's own way to one instance, whoever answers for the model by now. Where there is no proxy, nobody is served by one.
 * @throws HostFailure proof_failed
 */
async function proveInstance(
  model: DesiredModel,
  instance: string,
  depth: Depth,
  { host, say, signal }: Acting,
): Promise<void> {
  const [socketPath] = await adminSockets(host);
  if (socketPath === undefined) return;
  const proved = await provedModel(host, model.identifier, model.contextLength);
  const failure = proofFailure(await proveOnce({ socketPath }, proved, { depth, instance, say, signal }));
  if (failure !== null) throw failure;
}

async function serve(instance: string, model: DesiredModel, { host, notebook }: Acting): Promise<void> {
  const { identifier } = model;
  const { serves } = notebook.memory;
  const { [identifier]: before, ...others } = serves;
  await tellInstances(host, instance === identifier ? others : { ...others, [identifier]: instance });
  await requireFollowed(host, identifier, instance).catch(async (error: unknown) => {
    await tellInstances(host, serves);
    throw error;
  });
  await notebook.serving(instance, identifier);
}

async function orUnload(instance: string, acting: Acting, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    await unloadInstance(instance, "it did not prove itself", acting).catch(() => {});
    throw error;
  }
}
