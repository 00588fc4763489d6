/** Inference engines ("runtimes") as `lms runtime` sees them: shipped, selected, compatible or not. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Traps } from "../traps.ts";
import { readJson, writeJson } from "./settings.ts";

export interface EngineName {
  readonly name: string;
  readonly version: string;
}

export interface SurveyedEngine extends EngineName {
  readonly engine: "llama.cpp";
  readonly compatibility: { readonly status: string; readonly message: string };
}

const cpu = "llama.cpp-linux-x86_64-avx2";
const cuda11 = "llama.cpp-linux-x86_64-nvidia-cuda";
const cuda12 = "llama.cpp-linux-x86_64-nvidia-cuda12";

export const shippedEngines: readonly EngineName[] = [cpu, cuda11, cuda12].map((name) => ({ name, version: "2.25.2" }));
/** What `runtime get` can fetch. */
export const offeredEngines: readonly EngineName[] = [cpu, cuda12].map((name) => ({ name, version: "2.26.0" }));

const folder = (home: string): string => join(home, "extensions", "backends");
const preferences = (home: string): string => join(home, ".internal", "backend-preferences-v1.json");

export function installedEngines(home: string): EngineName[] {
  if (!existsSync(folder(home))) return [];
  return readdirSync(folder(home))
    .sort()
    .flatMap((name) => {
      const manifest = readJson(join(folder(home), name, "backend-manifest.json"));
      return manifest === null ? [] : [{ name: String(manifest.name), version: String(manifest.version) }];
    });
}

/** Nobody chose yet: the CPU engine although a CUDA engine fits, or the CUDA engine where the trap is off. */
export function selectedEngine(home: string, traps: Traps): EngineName | null {
  const installed = installedEngines(home);
  const preferred = readJson(preferences(home))?.gguf as EngineName | undefined;
  const chosen = installed.find((engine) => engine.name === preferred?.name && engine.version === preferred.version);
  if (chosen !== undefined) return chosen;
  const fallback = traps.cpuEngineSelected || !gpuVisible() ? cpu : cuda12;
  return installed.find((engine) => engine.name === fallback) ?? installed[0] ?? null;
}

export function selectEngine(home: string, engine: EngineName): void {
  writeJson(preferences(home), { gguf: engine });
}

export function addEngine(home: string, engine: EngineName): void {
  writeJson(join(folder(home), `${engine.name}-${engine.version}`, "backend-manifest.json"), engine);
}

export function removeEngine(home: string, engine: EngineName): void {
  rmSync(join(folder(home), `${engine.name}-${engine.version}`), { recursive: true, force: true });
}

/** A self-update: what is offered comes, and what was selected is selected in its newest version. */
export function updateEngines(home: string, traps: Traps): void {
  const before = selectedEngine(home, traps);
  for (const engine of offeredEngines) addEngine(home, engine);
  const newer = offeredEngines.find((engine) => engine.name === before?.name);
  if (newer !== undefined) selectEngine(home, newer);
}

/** `name`, `name@version`, or a part of the name: what the command line may say. */
export function matchEngines(engines: readonly EngineName[], query: string): EngineName[] {
  const [name = "", version] = query.split("@");
  const fits = (engine: EngineName): boolean => version === undefined || engine.version === version;
  const exact = engines.filter((engine) => engine.name === name && fits(engine));
  return exact.length > 0 ? exact : engines.filter((engine) => engine.name.includes(name) && fits(engine));
}

export function survey(home: string): SurveyedEngine[] {
  const gpu = gpuVisible();
  return installedEngines(home).map((engine) => ({
    engine: "llama.cpp",
    ...engine,
    compatibility: compatibility(engine.name, gpu),
  }));
}

function compatibility(name: string, gpu: boolean): SurveyedEngine["compatibility"] {
  if (name === cuda11) return { status: "missingLibraries", message: "libcudart.so.11.0 was not found" };
  if (name.includes("cuda") && !gpu) return { status: "noSupportedGpus", message: "No supported GPU was found" };
  return { status: "compatible", message: "" };
}

function gpuVisible(): boolean {
  try {
    execFileSync("nvidia-smi", [], { stdio: "ignore", timeout: 5000 });
    return true;
  } catch {
    return false;
  }
}
