/** What is on a host, in lines that can be compared: files with their digests, containers, images, units, listening ports. */
import type { TestHost } from "../hosts/host.ts";

/** Things that a running host changes by itself. */
const restless = [
  "/var/log",
  "/var/lib/systemd",
  "/var/cache",
  "/run",
  "/tmp",
  "/var/tmp",
  "/var/lib/docker",
  "/var/lib/containerd",
  "/proc",
  "/sys",
  "/dev",
  "/models/dist",
];

const script = `
find / \\( ${restless.map((path) => `-path ${path}`).join(" -o ")} \\) -prune -o -type f -size -10G -newermt '1 day ago' -printf '%p %m %u ' -exec sha256sum {} \\; 2>/dev/null | awk '{print $1, $2, $3, $4}' | sort
find /home/gpu /etc/systemd /etc/sysctl.d -mindepth 1 -printf '%y %p -> %l\\n' | sort
docker ps -a --format 'container {{.Names}} {{.Image}}' | sort
docker images --format 'image {{.Repository}}:{{.Tag}}' | sort
systemctl list-unit-files --no-legend 'lmstack*' | awk '{print "unit", $1, $2}'
ss -Hltn | awk '{print "listens", $4}' | sort
`;

/** Files that appear on a host whenever somebody logs in. */
const harmless = [
  /\/\.ssh\//,
  /\/\.bash_history/,
  /\/etc\/(mtab|resolv\.conf|hostname|hosts)/,
  /motd/,
  /\/\.cache/,
  /sudo\/ts/,
  /listens 127\.0\.0\.11:/,
  // containerd streams on a port of its own choice.
  /listens 127\.0\.0\.1:[3-6]\d{4}$/,
];

export async function fingerprint(host: TestHost): Promise<readonly string[]> {
  const { stdout } = await host.exec(script, { root: true });
  return stdout.split("\n").filter((line) => line !== "" && !harmless.some((pattern) => pattern.test(line)));
}

/** Lines that came (`+`) and went (`-`). */
export function difference(before: readonly string[], after: readonly string[]): readonly string[] {
  const had = new Set(before);
  const has = new Set(after);
  return [
    ...before.filter((line) => !has.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !had.has(line)).map((line) => `+ ${line}`),
  ];
}
