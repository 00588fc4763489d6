/** What the supervisor found wrong and repaired by itself: otherwise nobody would ever see it. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { readJson, writeJson } from "./atomic-file.ts";
import type { Host } from "./host.ts";

const kept = 20;

export async function addIncident(host: Host, resource: string, words: string): Promise<void> {
  const before = (await readJson<string[]>(path(host, resource))) ?? [];
  await writeJson(path(host, resource), [...before, words].slice(-kept));
}

export async function clearIncidents(host: Host, resource: string): Promise<void> {
  await rm(path(host, resource), { force: true });
}

export async function readIncidents(host: Host): Promise<Record<string, readonly string[]>> {
  const names = (await readdir(join(host.paths.state, "incidents")).catch(() => [])).filter((name) =>
    /^[^.].*\.json$/.test(name),
  );
  const pairs = await Promise.all(
    names.map(async (name) => {
      const resource = decodeURIComponent(name.slice(0, -".json".length));
      return [resource, (await readJson<string[]>(path(host, resource))) ?? []] as const;
    }),
  );
  return Object.fromEntries(pairs);
}

function path(host: Host, resource: string): string {
  return join(host.paths.state, "incidents", `${encodeURIComponent(resource)}.json`);
}
