/** The few things that are asked of Docker, by its command line: it knows contexts, rootless sockets and DOCKER_HOST. */
import { join } from "node:path";
import type { ObservedContainer } from "../infra/spec/host-documents.ts";
import { dockerLabels } from "../infra/spec/host-layout.ts";
import { readJson, writeJson } from "./atomic-file.ts";
import { lastLine, type Outcome, run } from "./command.ts";
import { HostFailure } from "./failure.ts";
import type { Host } from "./host.ts";

export interface Container extends ObservedContainer {
  readonly exitCode: number;
  readonly restarting: boolean;
  /** Docker leaves it alone once it has ended: it was asked to go. */
  readonly leaving: boolean;
  /** The image's own health check as arguments of a process in the container; null when it has none. */
  readonly check: readonly string[] | null;
}

interface Inspected {
  readonly Id: string;
  readonly Config: {
    readonly Labels: Record<string, string> | null;
    readonly Healthcheck?: { readonly Test?: readonly string[] | null } | null;
  };
  readonly HostConfig?: { readonly RestartPolicy?: { readonly Name?: string } };
  readonly State: {
    readonly Running: boolean;
    readonly Restarting?: boolean;
    readonly ExitCode: number;
    readonly Health?: { readonly Status: string };
  };
}

export async function docker(host: Host, args: readonly string[], timeoutMs = 30_000): Promise<Outcome> {
  return await run(host, "docker", args, { timeoutMs });
}

export async function dockerOrFail(host: Host, args: readonly string[], timeoutMs?: number): Promise<string> {
  const outcome = await docker(host, args, timeoutMs);
  if (outcome.code === 0) return outcome.stdout.trim();
  throw new HostFailure(
    "docker_unavailable",
    `docker ${args[0]} failed for ${host.user}: ${lastLine(outcome.stderr) || "no answer in time"}`,
    "`npx lmstack host prepare` installs Docker and adds the user to its group",
  );
}

/** Without Docker there are no containers. */
export async function containersOf(host: Host, stack: string): Promise<Container[]> {
  const listed = await docker(
    host,
    ["ps", "-aq", "--no-trunc", "--filter", `label=${dockerLabels.stack}=${stack}`],
    5000,
  );
  const ids = listed.code === 0 ? listed.stdout.split("\n").filter((id) => id !== "") : [];
  if (ids.length === 0) return [];
  return parseContainers((await docker(host, ["inspect", "--type", "container", ...ids], 5000)).stdout);
}

/** Null when it does not exist. */
export async function containerById(host: Host, id: string): Promise<Container | null> {
  const outcome = await docker(host, ["inspect", "--type", "container", id], 10_000);
  if (outcome.code !== 0 && !/no such/i.test(outcome.stderr))
    await dockerOrFail(host, ["version", "--format", "{{.Server.Version}}"]);
  return parseContainers(outcome.stdout)[0] ?? null;
}

/** One of several may be gone meanwhile: `inspect` then exits 1 and still tells of the others. */
export function parseContainers(json: string): Container[] {
  let rows: Inspected[] = [];
  try {
    rows = JSON.parse(json) as Inspected[];
  } catch {
    return [];
  }
  return rows.map((row) => ({
    id: row.Id,
    token: row.Config.Labels?.[dockerLabels.token] ?? "",
    running: row.State.Running,
    health: healthOf(row.State.Health?.Status),
    exitCode: row.State.ExitCode,
    restarting: row.State.Restarting === true,
    leaving: row.HostConfig?.RestartPolicy?.Name === "no",
    check: checkOf(row.Config.Healthcheck?.Test ?? []),
    ...(row.Config.Labels?.[dockerLabels.standIn] === undefined ? {} : { withoutGpu: true }),
  }));
}

function healthOf(status: string | undefined): ObservedContainer["health"] {
  return status === "healthy" || status === "starting" || status === "unhealthy" ? status : "none";
}

function checkOf([form, ...words]: readonly string[]): readonly string[] | null {
  if (form === "CMD") return words;
  return form === "CMD-SHELL" ? ["/bin/sh", "-c", words.join(" ")] : null;
}

export async function rememberImage(host: Host, imageId: string | null): Promise<void> {
  await writeJson(imageRecord(host), { imageId });
}

export async function rememberedImage(host: Host): Promise<string | null> {
  return (await readJson<{ imageId: string | null }>(imageRecord(host)))?.imageId ?? null;
}

/** The image that the last `converge proxy-image` gave. */
export async function imagePresent(host: Host): Promise<boolean> {
  const id = await rememberedImage(host);
  return id !== null && (await docker(host, ["image", "inspect", "--format", "{{.Id}}", id], 5000)).code === 0;
}

function imageRecord(host: Host): string {
  return join(host.paths.state, "image.json");
}
