/** Tells the proxy about the cards: its container has none, so it cannot ask the driver itself. */
import { existsSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { type GpuFile, gpuFileName, gpuFileSeconds, gpuQuery, readGpuLines } from "../../infra/spec/gpu-facts.ts";
import { stagingName } from "../atomic-file.ts";
import { run } from "../command.ts";
import type { Host } from "../host.ts";

/** A driver that hangs takes minutes to say so. */
const askMs = 5000;

/** Writes `gpu.json` again and again until `signal`; ends at once on a host without `nvidia-smi`. Never rejects. */
export async function tellGpus(host: Host, signal: AbortSignal, everyMs = gpuFileSeconds * 1000): Promise<void> {
  while (!signal.aborted) {
    if (existsSync(host.paths.proxy)) {
      const at = new Date().toISOString();
      const { code, stdout, stderr } = await run(host, gpuQuery.program, gpuQuery.words, { timeoutMs: askMs, signal });
      if (code === null && stderr.includes("ENOENT")) return;
      const gpus = code === 0 ? readGpuLines(stdout) : [];
      // A proxy that is being removed takes the folder away at any time.
      if (gpus.length > 0 && !signal.aborted) await write(host, { at, gpus }).catch(() => {});
    }
    await setTimeout(everyMs, undefined, { signal, ref: false }).catch(() => {});
  }
}

/** Renamed into place, but not flushed to the disk: after a power cut it is stale anyway. */
async function write(host: Host, file: GpuFile): Promise<void> {
  const path = join(host.paths.proxy, gpuFileName);
  const staging = stagingName(path);
  try {
    await writeFile(staging, JSON.stringify(file), { mode: 0o600, flag: "wx" });
    await rename(staging, path);
  } catch (error) {
    await rm(staging, { force: true });
    throw error;
  }
}
