/** What lies in the models folder, as LM Studio lists it. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { readHeader } from "../gguf/header.ts";
import { scriptKey } from "../gguf/script-model.ts";
import { type DownloadedModel, defaultScript, type Script } from "../model.ts";
import { readJson, settingsFile } from "./settings.ts";

function modelsFolder(home: string): string {
  const folder = readJson(settingsFile(home))?.downloadsFolder;
  return typeof folder === "string" ? folder : join(home, "models");
}

/** Scans `publisher/repo/*.gguf`, and folders `publisher/repo` with config.json and *.safetensors. A link whose target is gone is not listed. */
export function scanModels(home: string): DownloadedModel[] {
  const root = modelsFolder(home);
  const found = entries(root).flatMap((publisher) =>
    entries(join(root, publisher)).flatMap((repo) => [
      ...entries(join(root, publisher, repo)).flatMap((file) =>
        file.endsWith(".gguf") ? (describe(root, publisher, repo, file) ?? []) : [],
      ),
      ...(describeFolder(root, publisher, repo) ?? []),
    ]),
  );
  // A short key is for the only one of its name; twins go by their paths.
  return found.map((model) =>
    found.filter((other) => other.modelKey === model.modelKey).length > 1
      ? { ...model, modelKey: model.path.toLowerCase() }
      : model,
  );
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function describe(root: string, publisher: string, repo: string, name: string): DownloadedModel | null {
  const file = join(root, publisher, repo, name);
  try {
    const header = readHeader(file);
    if (header === null) return null;
    const architecture = String(header["general.architecture"] ?? "unknown");
    const script = header[scriptKey];
    const quantization = /(I?Q\d\w*|F16|BF16|F32)\.gguf$/i.exec(name)?.[1]?.toUpperCase() ?? "Q4_K_M";
    return {
      modelKey: repo.replace(/-gguf$/i, "").toLowerCase(),
      path: `${publisher}/${repo}/${name}`,
      format: "gguf",
      file,
      publisher,
      displayName: String(header["general.name"] ?? basename(name, ".gguf")),
      architecture,
      quantization: { name: quantization, bits: Number(/\d+/.exec(quantization)?.[0] ?? 4) },
      sizeBytes: statSync(file).size,
      maxContextLength: Number(header[`${architecture}.context_length`] ?? 4096),
      script: typeof script === "string" ? { ...defaultScript, ...(JSON.parse(script) as Partial<Script>) } : null,
    };
  } catch {
    return null;
  }
}

/** Of an MLX model's config.json; the script is the stand-in's own key in it, as in a GGUF's header. */
interface Config {
  readonly model_type?: string;
  readonly max_position_embeddings?: number;
  readonly quantization?: { readonly bits?: number };
  readonly [scriptKey]?: Partial<Script>;
}

function describeFolder(root: string, publisher: string, repo: string): [DownloadedModel] | null {
  const file = join(root, publisher, repo);
  try {
    const tensors = entries(file).filter((name) => name.endsWith(".safetensors"));
    const sizes = tensors.map((name) => statSync(join(file, name)).size);
    const config = JSON.parse(readFileSync(join(file, "config.json"), "utf8")) as Config;
    const bits = config.quantization?.bits ?? 16;
    if (tensors.length === 0) return null;
    return [
      {
        modelKey: repo.toLowerCase(),
        path: `${publisher}/${repo}`,
        format: "safetensors",
        file,
        publisher,
        displayName: repo,
        architecture: config.model_type ?? "unknown",
        quantization: { name: `${bits}bit`, bits },
        sizeBytes: sizes.reduce((sum, size) => sum + size, 0),
        maxContextLength: config.max_position_embeddings ?? 4096,
        script: { ...defaultScript, ...config[scriptKey] },
      },
    ];
  } catch {
    return null;
  }
}
