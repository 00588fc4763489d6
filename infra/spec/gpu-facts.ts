/** What is told of a host's NVIDIA cards: asked of `nvidia-smi` by whoever can run it, and written by the supervisor for a proxy that cannot. */

/** One card; null is what the driver does not know of it. */
export interface GpuFacts {
  readonly index: number;
  readonly name: string;
  readonly memoryUsedBytes: number | null;
  readonly memoryTotalBytes: number | null;
  /** 0 to 1. */
  readonly utilization: number | null;
  readonly temperatureCelsius: number | null;
  readonly powerWatts: number | null;
}

/** The supervisor's file, in the folder that it shares with the proxy. */
export interface GpuFile {
  /** ISO time of the question. */
  readonly at: string;
  readonly gpus: readonly GpuFacts[];
}

export const gpuFileName = "gpu.json";
/** The supervisor writes this often. */
export const gpuFileSeconds = 30;
/** An older file tells of a supervisor that is gone, not of the card. */
export const gpuFileStaleSeconds = 90;

export const gpuQuery = {
  program: "nvidia-smi",
  words: [
    "--query-gpu=index,name,memory.used,memory.total,utilization.gpu,temperature.gpu,power.draw",
    "--format=csv,noheader,nounits",
  ],
} as const;

const mebibyte = 1_048_576;
const numbersBehindName = 5;

/** Lines of `gpuQuery`: memory in MiB, use in percent. `[N/A]`, `[Unknown Error]` and the like become null; what is no line of a card is left out. */
export function readGpuLines(text: string): GpuFacts[] {
  const gpus: GpuFacts[] = [];
  for (const line of text.split("\n")) {
    const fields = line.split(",").map((field) => field.trim());
    const index = numberOf(fields[0]);
    if (index === null || fields.length < 2 + numbersBehindName) continue;
    const [used, total, percent, temperature, power] = fields.slice(-numbersBehindName).map(numberOf);
    gpus.push({
      index,
      name: fields.slice(1, -numbersBehindName).join(", "),
      memoryUsedBytes: times(used, mebibyte),
      memoryTotalBytes: times(total, mebibyte),
      utilization: times(percent, 0.01),
      temperatureCelsius: temperature ?? null,
      powerWatts: power ?? null,
    });
  }
  return gpus;
}

/** The cards of a supervisor's file; none when it is stale or not such a file. `now` is in milliseconds since the epoch. */
export function readGpuFile(text: string, now: number): readonly GpuFacts[] {
  let file: Partial<GpuFile> | null;
  try {
    file = JSON.parse(text) as Partial<GpuFile> | null;
  } catch {
    return [];
  }
  const age = now - Date.parse(String(file?.at));
  if (!(Math.abs(age) <= gpuFileStaleSeconds * 1000) || !Array.isArray(file?.gpus)) return [];
  return file.gpus.filter(isGpu);
}

function isGpu(value: unknown): value is GpuFacts {
  if (typeof value !== "object" || value === null) return false;
  const { index, name, ...numbers } = value as GpuFacts;
  const measured = [
    numbers.memoryUsedBytes,
    numbers.memoryTotalBytes,
    numbers.utilization,
    numbers.temperatureCelsius,
    numbers.powerWatts,
  ];
  return (
    Number.isInteger(index) &&
    typeof name === "string" &&
    measured.every((one) => one === null || typeof one === "number")
  );
}

function numberOf(field: string | undefined): number | null {
  return field !== undefined && /^\d+(?:\.\d+)?$/.test(field) ? Number(field) : null;
}

function times(value: number | null | undefined, factor: number): number | null {
  return value === null || value === undefined ? null : value * factor;
}
