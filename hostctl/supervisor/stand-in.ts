/**
 * A proxy without the GPU, for as long as its declared container does not start with it: after a driver's upgrade, NVIDIA's hook fails until the next
 * boot. Everything else is the same. Docker removes it when it ends, and hand-over ends it: nothing of it is left when the declared one is back.
 */
import * as z from "zod";
import { dockerLabels } from "../../infra/spec/host-layout.ts";

const words = z.array(z.string()).nullish();
const mount = z.object({ Type: z.string(), Source: z.string(), Target: z.string(), ReadOnly: z.boolean().optional() });
const inspected = z.tuple([
  z.object({
    Id: z.string(),
    /** By its digest: the tag may be another image's by now. */
    Image: z.string(),
    Config: z.object({ User: z.string(), Env: words, Labels: z.record(z.string(), z.string()).nullish() }),
    HostConfig: z.object({
      NetworkMode: z.string(),
      ReadonlyRootfs: z.boolean(),
      SecurityOpt: words,
      CapDrop: words,
      Mounts: z.array(mount).nullish(),
      Tmpfs: z.record(z.string(), z.string()).nullish(),
      LogConfig: z.object({ Type: z.string(), Config: z.record(z.string(), z.string()).nullish() }),
    }),
  }),
]);
const asking = z.tuple([z.object({ HostConfig: z.object({ DeviceRequests: z.array(z.unknown()).min(1) }) })]);

/** Arguments of `docker` that start it, from what `docker inspect` tells of the declared container; null when that one asks for no GPU. Pure. */
export function standInWords(inspection: string): string[] | null {
  const told: unknown = JSON.parse(inspection);
  if (!asking.safeParse(told).success) return null;
  const [{ Id, Image, Config, HostConfig }] = inspected.parse(told);
  const labels = { ...Config.Labels, [dockerLabels.token]: "", [dockerLabels.standIn]: Id };
  const { Type: driver, Config: options } = HostConfig.LogConfig;
  return [
    ...["run", "--detach", "--rm", "--name", standInName(Id)],
    ...["--network", HostConfig.NetworkMode, "--user", Config.User],
    ...(HostConfig.ReadonlyRootfs ? ["--read-only"] : []),
    ...each("--security-opt", HostConfig.SecurityOpt ?? []),
    ...each("--cap-drop", HostConfig.CapDrop ?? []),
    ...each("--mount", (HostConfig.Mounts ?? []).map(mountWords)),
    ...each("--tmpfs", pairs(HostConfig.Tmpfs, ":")),
    ...["--log-driver", driver, ...each("--log-opt", pairs(options, "="))],
    ...each(
      "--env",
      (Config.Env ?? []).filter((one) => !one.startsWith("NVIDIA_")),
    ),
    ...each("--label", pairs(labels, "=")),
    Image,
  ];
}

/** The same for one declared container: two can never be made. */
export const standInName = (declared: string): string => `lmstack-proxy-without-gpu-${declared.slice(0, 12)}`;

const each = (flag: string, values: readonly string[]): string[] => values.flatMap((value) => [flag, value]);

const pairs = (map: Readonly<Record<string, string>> | null | undefined, between: string): string[] =>
  Object.entries(map ?? {}).map(([name, value]) => `${name}${between}${value}`);

/** Docker reads it as a line of CSV. */
function mountWords({ Type, Source, Target, ReadOnly }: z.output<typeof mount>): string {
  const fields = [`type=${Type}`, `source=${Source}`, `target=${Target}`, ...(ReadOnly ? ["readonly"] : [])];
  return fields.map((field) => (/[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(",");
}
