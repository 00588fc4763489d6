/** What lies in the models folder, as LM Studio lists it. */
import { readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { readHeader } from "../gguf/header.ts";
import { scriptKey } from "../gguf/script-model.ts";
import { type DownloadedModel, defaultScript, type Script } from "../model.ts";
import { readJson, settingsFile } from "./settings.ts";

function modelsFolder(home: string): string {
  const folder = readJson(settingsFile(home))?.downloadsFolder;
  return typeof folder === "string" ? folder : join(home, "models");
}

/** Scans `publisher/repo/*.gguf`. A link whose target is gone is not listed. */
export function scanModels(home: string): DownloadedModel[] {
  const root = modelsFolder(home);
  const found = entries(root).flatMap((publisher) =>
    entries(join(root, publisher)).flatMap((repo) =>
      entries(join(root, publisher, repo)).flatMap((file) =>
        file.endsWith(".gguf") ? (describe(root, publisher, repo, file) ?? []) : [],
      ),
    ),
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
