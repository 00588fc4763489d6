/**
 * Whether a load fits, before it is tried. LM Studio estimates (it knows the file's layers, the cache's type and how much goes to the GPU), the driver
 * says what is free. Both are guesses of what the load will take, so only what both refuse by more than a tenth is refused; unknown goes on.
 */
import { readFile } from "node:fs/promises";
import { freemem, totalmem } from "node:os";
import { stripVTControlCharacters } from "node:util";
import { gpuQuery, readGpuLines } from "../../infra/spec/gpu-facts.ts";
import { run } from "../command.ts";
import { HostFailure } from "../failure.ts";
import type { Host } from "../host.ts";
import { estimateLoad, type LoadRequest } from "../lmstudio/lms.ts";

/** In bytes; null where it was not told. */
export interface Estimate {
  readonly gpuBytes: number | null;
  readonly totalBytes: number | null;
  /** LM Studio's own verdict, by its guardrails and what is free now. */
  readonly fits: boolean | null;
}

/** Bytes that are surely free, and that may at most become free beside what other programs hold. */
export interface Free {
  readonly of: "gpu" | "memory";
  readonly atLeast: number;
  readonly atMost: number;
}

const tolerance = 1.1;
const units = ["Bytes", "KiB", "MiB", "GiB", "TiB"];

/** Text of `lms load --estimate-only` (LM Studio's CLI, 2026-08). */
export function parseEstimate(text: string): Estimate {
  const plain = stripVTControlCharacters(text);
  const bytes = (name: string) => {
    const [, figure, unit = ""] = plain.match(new RegExp(`Estimated ${name} Memory:\\s*([\\d.]+) (\\w+)`)) ?? [];
    return figure === undefined || !units.includes(unit) ? null : Number(figure) * 1024 ** units.indexOf(unit);
  };
  const fits = /will fail to load/.test(plain) ? false : /may be loaded/.test(plain) ? true : null;
  return { gpuBytes: bytes("GPU"), totalBytes: bytes("Total"), fits };
}

export function neededOf(estimate: Estimate, free: Free): number | null {
  return free.of === "gpu" ? estimate.gpuBytes : (estimate.totalBytes ?? estimate.gpuBytes);
}

/** Bytes that are missing; 0 when it may fit or nobody can say. `freed` is what is unloaded first. */
export function missingBytes(estimate: Estimate, free: Free | null, freed = 0): number {
  if (estimate.fits !== false || free === null) return 0;
  const needed = neededOf(estimate, free);
  const room = free.atMost + freed;
  return needed === null || needed <= room * tolerance ? 0 : Math.ceil(needed - room);
}

/** Surely, beside everything that is loaded. */
export function fitsBeside(estimate: Estimate, free: Free | null): boolean {
  if (estimate.fits !== true || free === null) return false;
  const needed = neededOf(estimate, free);
  return needed !== null && needed * tolerance <= free.atLeast;
}

export async function estimateOf(host: Host, request: LoadRequest): Promise<Estimate> {
  return parseEstimate(await estimateLoad(host, request).catch(() => ""));
}

/** Of all cards together; of the machine where there is none. Null when nobody tells. */
export async function freeMemory(host: Host): Promise<Free | null> {
  const { code, stdout } = await run(host, gpuQuery.program, gpuQuery.words, { timeoutMs: 5000 });
  const cards = code === 0 ? readGpuLines(stdout) : [];
  if (cards.length > 0) {
    if (cards.some((card) => card.memoryTotalBytes === null || card.memoryUsedBytes === null)) return null;
    const free = cards.reduce((sum, card) => sum + (card.memoryTotalBytes ?? 0) - (card.memoryUsedBytes ?? 0), 0);
    return { of: "gpu", atLeast: free, atMost: free };
  }
  // Unified memory: what is cached or compressed can be freed, and macOS does not say how much that is.
  if (host.platform === "darwin") return { of: "memory", atLeast: freemem(), atMost: totalmem() };
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(await readFile("/proc/meminfo", "utf8").catch(() => ""));
  return available === null ? null : { of: "memory", atLeast: Number(available[1]) * 1024, atMost: totalmem() };
}

/** @throws HostFailure out_of_memory */
export async function requireMemory(
  host: Host,
  request: LoadRequest,
  estimate: Estimate,
  replaced: LoadRequest | null,
): Promise<void> {
  if (estimate.fits !== false) return;
  const free = await freeMemory(host);
  if (free === null || missingBytes(estimate, free) === 0) return;
  const freed = replaced === null ? 0 : (neededOf(await estimateOf(host, replaced), free) ?? Number.POSITIVE_INFINITY);
  const missing = missingBytes(estimate, free, freed);
  if (missing === 0) return;
  const { identifier, contextLength, parallel } = request;
  throw new HostFailure(
    "out_of_memory",
    `model ${identifier} needs about ${gib(neededOf(estimate, free) ?? 0)} (context ${contextLength}, parallel ${parallel}), ${gib(free.atMost + freed)} can be had: ${gib(missing)} are missing`,
    "lower load.contextLength or load.parallel, take a smaller quantisation, or declare fewer models",
  );
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
