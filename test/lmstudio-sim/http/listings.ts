/** The three lists of models: OpenAI's, the beta REST's and the native one. */
import type { Instance, Instances } from "../daemon/instances.ts";
import type { DownloadedModel } from "../model.ts";
import type { Traps } from "../traps.ts";

/** With just-in-time loading on, everything downloaded is listed; else only what is loaded. */
function listed(instances: Instances): { id: string; model: DownloadedModel; instance: Instance | null }[] {
  const loaded = instances.list().map((instance) => ({ id: instance.identifier, model: instance.model, instance }));
  if (!instances.jit()) return loaded;
  const rest = instances.options.catalog().filter((model) => !loaded.some((entry) => entry.model.path === model.path));
  return [...loaded, ...rest.map((model) => ({ id: model.modelKey, model, instance: null }))];
}

export const openaiModels = (instances: Instances): unknown => ({
  object: "list",
  data: listed(instances).map(({ id }) => ({ id, object: "model", owned_by: "organization_owner" })),
});

export function betaModels(instances: Instances): { object: "list"; data: { id: string }[] } {
  const data = listed(instances).map(({ id, model, instance }) => ({
    id,
    object: "model",
    type: "llm",
    publisher: model.publisher,
    arch: model.architecture,
    compatibility_type: model.format === "gguf" ? "gguf" : "mlx",
    quantization: model.quantization.name,
    state: instance === null ? "not-loaded" : "loaded",
    max_context_length: model.maxContextLength,
    ...(instance === null ? {} : { loaded_context_length: instance.contextLength }),
    capabilities: ["tool_use"],
  }));
  return { object: "list", data };
}

/** One entry a downloaded model, its instances inside. */
export const nativeModels = (instances: Instances, traps: Traps): unknown => ({
  models: instances.options.catalog().map((model) => ({
    type: "llm",
    publisher: model.publisher,
    key: model.modelKey,
    display_name: model.displayName,
    architecture: model.architecture,
    quantization: { name: model.quantization.name, bits_per_weight: model.quantization.bits },
    size_bytes: model.sizeBytes,
    params_string: null,
    loaded_instances: instances
      .list()
      .filter((instance) => instance.model.path === model.path)
      .map((instance) => ({
        id: instance.identifier,
        config: {
          context_length: instance.contextLength,
          parallel: instance.parallel,
          flash_attention: instance.defaults.flashAttention ?? true,
          eval_batch_size: 2048,
          offload_kv_cache_to_gpu: instance.gpu !== "off",
        },
      })),
    max_context_length: model.maxContextLength,
    format: model.format === "gguf" ? "gguf" : "mlx",
    capabilities: {
      vision: model.script?.vision ?? false,
      // Of a real file nothing is known, and the engine that plays it gives it no tools.
      trained_for_tool_use: model.script?.tools ?? false,
      ...(model.script?.thinks === true && !traps.reasoningNotRecognised
        ? { reasoning: { allowed_options: ["off", "on"], default: "on" } }
        : {}),
    },
  })),
});
