/** `lmstack model` and `lmstack unload`: which models a stack declares. */
import { agreeOn } from "./ask.ts";
import { declaredModels, type ModelWish, numeric, sourceOf, withModel, withoutModels } from "./model-plan.ts";
import { readStack, stackOf, writeStack } from "./stack-file.ts";
import { converge } from "./up.ts";

export interface ModelOptions {
  readonly stack?: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export interface AddOptions extends ModelOptions {
  readonly sha256?: string;
  readonly import?: string;
  readonly publisher?: string;
  readonly repo?: string;
  readonly gpu?: string;
  readonly context?: string;
  readonly parallel?: string;
  readonly thinking?: string;
}

export async function add(id: string, source: string, options: AddOptions): Promise<void> {
  const { sha256, publisher, repo, thinking, gpu, context, parallel } = options;
  const number = (text: string | undefined) => (text === undefined ? undefined : numeric(text));
  const wish: ModelWish = {
    ...{ id, source: sourceOf(source), sha256, import: options.import, publisher, repo, thinking },
    load: { gpu: number(gpu), contextLength: number(context), parallel: number(parallel) },
  };
  await change(options, (text, name) => withModel(text, name, wish), `${id} is declared`);
}

export async function remove(id: string, options: ModelOptions): Promise<void> {
  await change(options, (text, name) => withoutModels(text, name, [id]), `${id} is no longer declared`);
}

async function change(
  options: ModelOptions,
  plan: (text: string, name: string) => string,
  words: string,
): Promise<void> {
  const file = await stackOf(options.stack);
  const before = await readStack(file);
  const after = plan(before, file.name);
  await agreeOn(file, before, after, options.yes);
  await writeStack(file, after);
  if (options.json)
    console.log(JSON.stringify({ ok: true, stack: file.stack, file: file.name, changed: after !== before }));
  console.error(`${words} in ${file.name}. Next: npx lmstack up --stack ${file.stack}`);
}

export async function list(options: ModelOptions): Promise<void> {
  const file = await stackOf(options.stack);
  const models = declaredModels(await readStack(file), file.name);
  if (options.json) return console.log(JSON.stringify(models));
  if (models.length === 0) console.error(`no models. Next: npx lmstack model add ID SOURCE --stack ${file.stack}`);
  for (const { id, source, load, thinking } of models)
    console.log(
      `${id}  context ${load.contextLength}, parallel ${load.parallel}, gpu ${load.gpu}, thinking ${thinking}  ${source.path ?? source.url ?? source.hf ?? (source.peer ?? source.peerStacks)?.join(", ")}`,
    );
}

/**
 * Frees a model's memory, or that of all, and sees that nothing loads it again: the supervisor would load what is declared.
 * The file that was served stays where it lies.
 */
export async function unload(id: string | undefined, options: ModelOptions): Promise<void> {
  const file = await stackOf(options.stack);
  const before = await readStack(file);
  const after = withoutModels(before, file.name, id === undefined ? undefined : [id]);
  await agreeOn(file, before, after, options.yes);
  if (after !== before) await writeStack(file, after);
  const result = await converge(file.stack, ["--yes", "--skip-preview"], options.json);
  if (options.json) console.log(JSON.stringify({ ...result, file: file.name, changed: after !== before }));
  else
    console.log(
      result.models.length === 0
        ? "no model is declared any more"
        : `still served: ${result.models.map((model) => model.id).join(", ")}`,
    );
}
