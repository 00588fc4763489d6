/** What a box is like before `host prepare`: one read-only probe, and its answer as facts. */
import { CliFault } from "../fault.ts";
import { quote } from "./quote.ts";

/** How a command becomes root there. `password` is sudo that asks, `su` a box without sudo. */
export type RootBy = "root" | "sudo" | "password" | "su";

export interface PrepareFacts {
  /** The box's own name. */
  readonly host: string;
  readonly kernel: "Linux" | "Darwin" | string;
  readonly distro: { readonly name: string; readonly apt: boolean };
  readonly systemd: boolean;
  readonly rootBy: RootBy;
  /** Whom the box is prepared for: the owner of LM Studio. */
  readonly user: {
    readonly name: string;
    readonly exists: boolean;
    readonly groups: readonly string[];
    readonly lingers: boolean;
  };
  /** Who connects, when that is neither the owner nor root. */
  readonly login: { readonly name: string; readonly groups: readonly string[] } | null;
  /** Of `neededPackages`, what is not installed. */
  readonly missingPackages: readonly string[];
  readonly docker: { readonly version: string | null; readonly running: boolean };
  /** `driver` is null when `nvidia-smi` does not answer; `toolkit` is NVIDIA's container hook. */
  readonly nvidia: { readonly card: boolean; readonly driver: string | null; readonly toolkit: boolean };
  /** The drop-in's commands are granted, all of them, and the owner's shell to who connects. */
  readonly dropIn: boolean;
  /** Null when no folder for models was asked about. */
  readonly models: { readonly path: string; readonly readable: boolean } | null;
}

/** LM Studio's installer needs libatomic1 and warns without libgomp1; the rest is for fetching and for root acts. */
export const neededPackages = ["ca-certificates", "curl", "libatomic1", "libgomp1", "sudo"] as const;

/** A POSIX sh script that changes nothing, needs no root and prints one `key=value` a line. */
export function probeScript(user: string, models: string | null): string {
  return `
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
user=${quote(user)}
models=${quote(models ?? "")}
say() { printf '%s=%s\\n' "$1" "$(printf '%s' "$2" | tr '\\n' ' ')"; }
has() { command -v "$1" >/dev/null 2>&1; }
yes() { name="$1"; shift; if "$@" >/dev/null 2>&1; then say "$name" yes; else say "$name" no; fi; }
say host "$(uname -n)"
say kernel "$(uname -s)"
say distro "$(. /etc/os-release 2>/dev/null; echo "\${PRETTY_NAME:-unknown}")"
yes apt has apt-get
yes systemd test -d /run/systemd/system
if [ "$(id -u)" = 0 ]; then say rootBy root
elif ! has sudo; then say rootBy su
elif sudo -n sh -c true 2>/dev/null; then say rootBy sudo
else say rootBy password; fi
yes exists id -u "$user"
say groups "$(id -nG "$user" 2>/dev/null)"
yes lingers test -e "/var/lib/systemd/linger/$user"
for package in ${neededPackages.join(" ")}; do
  dpkg-query -W -f '\${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || say missing "$package"
done
has docker && has dockerd && say docker "$(docker --version 2>/dev/null | sed 's/.*version \\([0-9.]*\\).*/\\1/')"
yes running test -S /var/run/docker.sock
yes card sh -c 'grep -qix 0x10de /sys/bus/pci/devices/*/vendor 2>/dev/null || command -v nvidia-smi'
has nvidia-smi && say driver "$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)"
yes toolkit has nvidia-container-runtime-hook
login="$(id -un)"
if [ "$login" = "$user" ]; then
  has sudo && say sudoers "$(sudo -n -l 2>/dev/null)"
else
  say login "$login"
  say loginGroups "$(id -nG)"
  has sudo && say handOver "$(sudo -n -l 2>/dev/null)"
  has sudo && say sudoers "$(sudo -n -u "$user" -H -- /bin/sh -c "sudo -n -l" 2>/dev/null || sudo -n -l -U "$user" 2>/dev/null)"
fi
[ -z "$models" ] || yes models test -r "$models" -a -x "$models"
`;
}

/**
 * Reads the probe's answer.
 * @param grantsAll judges the owner's listing of `sudo -l`
 * @param handsOver judges the listing of who connects, when that is somebody else
 * @throws when the answer is not the probe's
 */
export function parseFacts(
  answer: string,
  user: string,
  models: string | null,
  grantsAll: (listing: string, kernel: string) => boolean,
  handsOver: (listing: string, owner: string) => boolean = () => false,
): PrepareFacts {
  const lines = answer
    .split("\n")
    .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1).trim()] as const);
  const all = (key: string) => lines.filter(([name]) => name === key).map(([, value]) => value);
  const one = (key: string) => all(key)[0] ?? "";
  const words = (key: string) =>
    one(key)
      .split(" ")
      .filter((word) => word !== "");
  const login = ["", "root", user].includes(one("login")) ? null : { name: one("login"), groups: words("loginGroups") };
  if (one("kernel") === "")
    throw new CliFault(
      `The host did not answer the probe as a shell would; it said: ${answer.slice(0, 200) || "nothing"}`,
    );
  return {
    host: one("host"),
    kernel: one("kernel"),
    distro: { name: one("distro"), apt: one("apt") === "yes" },
    systemd: one("systemd") === "yes",
    rootBy: one("rootBy") as RootBy,
    user: {
      name: user,
      exists: one("exists") === "yes",
      groups: words("groups"),
      lingers: one("lingers") === "yes",
    },
    login,
    missingPackages: all("missing"),
    docker: { version: one("docker") || null, running: one("running") === "yes" },
    nvidia: { card: one("card") === "yes", driver: one("driver") || null, toolkit: one("toolkit") === "yes" },
    dropIn: grantsAll(one("sudoers"), one("kernel")) && (login === null || handsOver(one("handOver"), user)),
    models: models === null ? null : { path: models, readable: one("models") === "yes" },
  };
}

/** What `--print` without a host assumes: a Debian or Ubuntu box on which nothing is there yet. */
export function bareFacts(user: string, models: string | null, card: boolean, login = user): PrepareFacts {
  return {
    host: "a bare box",
    kernel: "Linux",
    distro: { name: "Debian or Ubuntu", apt: true },
    systemd: true,
    rootBy: "su",
    user: { name: user, exists: true, groups: [], lingers: false },
    login: login === user || login === "root" ? null : { name: login, groups: [] },
    missingPackages: neededPackages,
    docker: { version: null, running: false },
    nvidia: { card, driver: card ? "unknown" : null, toolkit: false },
    dropIn: false,
    models: models === null ? null : { path: models, readable: false },
  };
}
