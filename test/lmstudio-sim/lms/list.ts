/** `lms ls` and `lms ps`. */
import type { DownloadedModel } from "../model.ts";
import { wakingClient } from "./client.ts";
import { Fault, print, say } from "./console.ts";

const size = (bytes: number): string =>
  bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(2)} MiB`;

export const describeSize = size;

/** One model as `--json` shows it. */
const entry = (model: DownloadedModel) => ({
  type: "llm",
  modelKey: model.modelKey,
  format: model.format,
  displayName: model.displayName,
  publisher: model.publisher,
  path: model.path,
  sizeBytes: model.sizeBytes,
  indexedModelIdentifier: model.path,
  deviceIdentifier: null,
  architecture: model.architecture,
  quantization: model.quantization,
  vision: false,
  trainedForToolUse: true,
  maxContextLength: model.maxContextLength,
});

export async function ls(
  home: string,
  modelKey: string | undefined,
  options: { json?: boolean; llm?: boolean; embedding?: boolean; variants?: boolean },
): Promise<void> {
  if (modelKey !== undefined && options.variants === true)
    throw new Fault("A model key cannot be combined with --variants.");
  const client = await wakingClient(home);
  const models = (options.embedding === true && options.llm !== true ? [] : await client.call("list", {})).filter(
    (model) => modelKey === undefined || model.modelKey === modelKey,
  );
  if (options.json === true) {
    return print(
      JSON.stringify(
        options.variants === true ? models.map((model) => ({ model: entry(model), variants: [] })) : models.map(entry),
      ),
    );
  }
  if (models.length === 0) return say("No models found.");
  print(
    ["LLM", ...models.map((model) => `${model.modelKey}    ${model.architecture}    ${size(model.sizeBytes)}`)].join(
      "\n",
    ),
  );
}

export async function ps(home: string, options: { json?: boolean }): Promise<void> {
  const client = await wakingClient(home);
  const loaded = await client.call("loaded", {});
  if (options.json === true) {
    return print(JSON.stringify(loaded.map(({ model, ...instance }) => ({ ...entry(model), ...instance }))));
  }
  if (loaded.length === 0) return say("No models are currently loaded.");
  const rows = loaded.map(
    ({ identifier, model, status, contextLength, parallel }) =>
      `${identifier}    ${model.modelKey}    ${status.toUpperCase()}    ${size(model.sizeBytes)}    ${contextLength}    ${parallel}`,
  );
  print(["IDENTIFIER    MODEL    STATUS    SIZE    CONTEXT    PARALLEL", ...rows].join("\n"));
}
