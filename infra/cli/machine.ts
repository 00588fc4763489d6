/** What `serve` has to find out about a machine that no stack's file describes yet: one read-only look. */
import type { Machine } from "./serve-plan.ts";

/** POSIX sh, one `key=value` a line. */
export const machineScript = `
PATH="$PATH:/usr/local/bin:/usr/sbin:/sbin"
yes() { name="$1"; shift; if "$@" >/dev/null 2>&1; then echo "$name=yes"; else echo "$name=no"; fi; }
echo "system=$(uname -s)"
echo "account=$(id -un)"
yes gpu nvidia-smi -L
yes systemd test -d /run/systemd/system
yes docker docker version
if [ "$(id -u)" = 0 ]; then echo root=yes; else yes root sudo -n -l systemctl daemon-reload; fi
`;

/** @param connection as the spec has it, without `become` */
export function machineOf(answer: string, connection: Readonly<Record<string, unknown>>): Machine {
  const found = Object.fromEntries(answer.split("\n").map((line) => line.split("=", 2) as [string, string?]));
  const mac = found.system === "Darwin";
  // Without a service manager of the system there is nothing to become root for.
  const become = found.root === "yes" && (mac || found.systemd === "yes") ? "sudo" : "none";
  return {
    platform: mac ? "macos-metal" : found.gpu === "yes" ? "linux-cuda" : "linux-cpu",
    connection: { ...connection, become },
    docker: found.docker === "yes",
  };
}
