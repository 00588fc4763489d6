/** `lms load` and `lms unload`, with the matching that can pick the wrong model and the exits that hide it. */
import type { DownloadedModel } from "../model.ts";
import { type Client, wakingClient } from "./client.ts";
import { ask, Fault, say } from "./console.ts";
import { describeSize } from "./list.ts";

export interface LoadFlags {
  readonly gpu?: string;
  readonly contextLength?: number;
  readonly parallel?: number;
  readonly ttl?: number;
  readonly identifier?: string;
  readonly estimateOnly?: boolean;
  readonly yes?: boolean;
  readonly exact?: boolean;
}

export async function load(home: string, modelKey: string | undefined, flags: LoadFlags): Promise<void> {
  const client = await wakingClient(home);
  const models = (await client.call("list", {})).filter((model) => !model.architecture.includes("clip"));
  const model = await choose(models, modelKey, flags);
  if (flags.estimateOnly === true) {
    const { bytes, fits } = await client.call("estimate", { path: model.path, ...loadOptions(flags) });
    say(`Estimated GPU Memory:    ${describeSize(bytes)}`);
    // Exit 0 both ways.
    return say(
      fits
        ? "This model may be loaded based on your resource guardrails settings."
        : "This model will fail to load based on your resource guardrails settings.",
    );
  }
  const began = performance.now();
  // The spinner is the only thing that goes to stdout.
  process.stdout.write(`\u001b[?25l⠋ Loading ${model.modelKey}\r\u001b[K\u001b[?25h`);
  const { identifier, sizeBytes } = await client.call("load", {
    path: model.path,
    identifier: flags.identifier,
    ttlSeconds: flags.ttl,
    ...loadOptions(flags),
  });
  say(
    `Model loaded successfully in ${((performance.now() - began) / 1000).toFixed(2)}s.\n(${describeSize(sizeBytes)})`,
  );
  say(`To use the model in the API/SDK, use the identifier "${identifier}".`);
}

const loadOptions = ({ contextLength, parallel, gpu }: LoadFlags) => ({ contextLength, parallel, gpu });

async function choose(
  models: DownloadedModel[],
  wanted: string | undefined,
  flags: LoadFlags,
): Promise<DownloadedModel> {
  if (flags.exact === true) {
    // Compares with the path, whatever the option's name for its argument says.
    const exact = models.find((model) => model.path === wanted);
    if (exact === undefined) throw new Fault(`Model not found: ${wanted ?? ""}`);
    return exact;
  }
  const hits = wanted === undefined ? models : models.filter((model) => isSubsequence(wanted, model.modelKey));
  if (flags.yes === true) {
    if (hits[0] === undefined) throw new Fault(`Model not found: ${wanted ?? ""}`);
    if (hits.length > 1)
      say(`Warning: ${hits.length} models match the provided model key on the same device. Loading the first one.`);
    return hits[0];
  }
  if (hits.length === 1 && hits[0] !== undefined && wanted !== undefined) return hits[0];
  const answer = await ask(`Select a model to load (${hits.map((model) => model.modelKey).join(", ")}):`);
  const picked = hits.find((model) => model.modelKey === answer);
  if (picked === undefined) throw new Fault("The prompt was cancelled.");
  return picked;
}

/** All letters in order, anything between them: "qn" is a match for "qwen". */
export function isSubsequence(letters: string, text: string): boolean {
  let from = 0;
  for (const letter of letters.toLowerCase()) {
    const at = text.toLowerCase().indexOf(letter, from);
    if (at < 0) return false;
    from = at + 1;
  }
  return true;
}

export async function unload(home: string, identifier: string | undefined, options: { all?: boolean }): Promise<void> {
  // Both mistakes are told and both end with exit 0.
  if (identifier !== undefined && options.all === true)
    return say("Invalid Usage: an identifier cannot be combined with --all.");
  const client = await wakingClient(home);
  const loaded = (await client.call("loaded", {})).map((instance) => instance.identifier);
  if (options.all === true) return await unloadAll(client, loaded);
  if (identifier !== undefined && !loaded.includes(identifier))
    return say(`Model Not Found: no loaded model has the identifier "${identifier}".`);
  if (identifier === undefined && loaded.length === 0) throw new Fault("No models to unload.");
  const chosen =
    identifier ?? (loaded.length === 1 ? loaded[0] : await ask(`Select a model to unload (${loaded.join(", ")}):`));
  if (chosen === undefined || !(await client.call("unload", { identifier: chosen })))
    throw new Fault("The prompt was cancelled.");
  say(`Model "${chosen}" unloaded.`);
}

async function unloadAll(client: Client, loaded: string[]): Promise<void> {
  if (loaded.length === 0) return say("No models to unload.");
  for (const identifier of loaded) await client.call("unload", { identifier });
  say(`Unloaded ${loaded.length} models.`);
}
