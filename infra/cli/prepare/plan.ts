/** From facts to what root has to do once. Pure; the order is the order of execution. */

import type { Become } from "../../spec/host-documents.ts";
import { CliFault } from "../fault.ts";
import type { PrepareFacts } from "./facts.ts";
import { quote } from "./quote.ts";
import { sudoersDropIn, sudoersPath } from "./sudoers.ts";

export interface Wanted {
  /** How hostctl will become root there: `sudo` gets the drop-in, `none` gets lingering user services. */
  readonly become: Become;
  /** The proxy runs in Docker (Linux's default) and not natively. */
  readonly docker: boolean;
}

export interface Step {
  readonly id:
    | "packages"
    | "docker"
    | "docker-service"
    | "nvidia-toolkit"
    | "docker-group"
    | "sudoers"
    | "linger"
    | "models";
  readonly why: string;
  /** POSIX sh, run as root; harmless when run again. */
  readonly command: string;
  readonly alreadyDone: boolean;
  /** False when the box also works without it, less well. */
  readonly required: boolean;
}

export interface PreparePlan {
  readonly steps: readonly Step[];
  /** What a person has to know or do by hand. */
  readonly notes: readonly string[];
}

/** Docker before this has no device requests that work with its classic builder's images, and no `ssh://` with options. */
const oldestDocker = "20.10";

/** @throws when the box cannot be prepared at all, saying why */
export function planPrepare(facts: PrepareFacts, wanted: Wanted): PreparePlan {
  refuse(facts, wanted);
  if (facts.kernel === "Darwin") return { steps: [sudoers(facts)], notes: [] };
  const apt = aptSteps(facts, wanted);
  const steps = [
    ...(facts.distro.apt ? apt : []),
    ...(wanted.docker ? dockerUse(facts) : []),
    ...(wanted.become === "sudo" ? [sudoers(facts)] : [linger(facts)]),
    ...models(facts),
  ];
  const notes = notesOn(facts, wanted);
  const byHand = facts.distro.apt ? [] : apt.filter((step) => !step.alreadyDone);
  return {
    steps,
    notes: [...notes, ...byHand.map((step) => `${facts.distro.name} has no apt-get; do by hand: ${step.why}`)],
  };
}

function refuse({ host, kernel, systemd, user }: PrepareFacts, { become }: Wanted): void {
  const mac = kernel === "Darwin";
  if (mac && become === "none") {
    throw new CliFault(
      `${host} is a Mac, which needs no preparing with become: none: LM Studio and the proxy run as launchd agents of the user. Next: pulumi up`,
    );
  }
  if (!mac && kernel !== "Linux")
    throw new CliFault(`${host} runs ${kernel}; expected Linux (Debian or Ubuntu) or macOS`);
  if (!mac && !systemd)
    throw new CliFault(
      `${host} does not run systemd, which services and Docker need here; expected a Debian or Ubuntu box booted with it`,
    );
  if (user.name === "root") {
    throw new CliFault(
      "LM Studio is to belong to an ordinary user, found root. Next: name that user with --for, such as --for gpu",
    );
  }
  if (!user.exists)
    throw new CliFault(
      `${host} has no user ${user.name}. Next: make one as root, \`adduser ${user.name}\`, and run this again`,
    );
}

function aptSteps(facts: PrepareFacts, wanted: Wanted): Step[] {
  const missing = facts.missingPackages.filter((name) => name !== "sudo" || wanted.become === "sudo");
  const steps: Step[] = [
    {
      id: "packages",
      why: `LM Studio and its installer need packages that are ${missing.length === 0 ? "all there" : `missing: ${missing.join(", ")}`}`,
      command: `apt-get update\napt-get install -y --no-install-recommends ${missing.join(" ")}`,
      alreadyDone: missing.length === 0,
      required: true,
    },
  ];
  if (!wanted.docker) return steps;
  steps.push({
    id: "docker",
    why:
      facts.docker.version === null
        ? "the proxy runs in a Docker container"
        : `Docker ${facts.docker.version} is installed`,
    // Debian 13 has the `docker` command in a package of its own, which `ssh://` needs; others have it in docker.io.
    command:
      "apt-get update\napt-get install -y --no-install-recommends docker.io iptables\ncommand -v docker >/dev/null || apt-get install -y --no-install-recommends docker-cli",
    alreadyDone: facts.docker.version !== null,
    required: true,
  });
  if (facts.nvidia.card) steps.push(nvidiaToolkit(facts));
  return steps;
}

const nvidiaRepository = "https://nvidia.github.io/libnvidia-container";
const nvidiaKeyring = "/usr/share/keyrings/nvidia-container-toolkit-keyring.gpg";

/** The commands of NVIDIA's installation guide for apt; where its repository is out of reach the rest goes on without. */
function nvidiaToolkit({ nvidia }: PrepareFacts): Step {
  return {
    id: "nvidia-toolkit",
    why: nvidia.toolkit
      ? "NVIDIA's container toolkit is installed"
      : "containers reach the NVIDIA card through NVIDIA's container toolkit; Docker restarts, and with it containers that run now",
    command: `if curl -fsSL --max-time 20 -o /dev/null ${nvidiaRepository}/gpgkey; then
  apt-get update
  apt-get install -y --no-install-recommends ca-certificates curl gnupg
  curl -fsSL ${nvidiaRepository}/gpgkey | gpg --batch --yes --dearmor -o ${nvidiaKeyring}
  curl -fsSL ${nvidiaRepository}/stable/deb/nvidia-container-toolkit.list \\
    | sed 's#deb https://#deb [signed-by=${nvidiaKeyring}] https://#g' >/etc/apt/sources.list.d/nvidia-container-toolkit.list
  apt-get update
  apt-get install -y nvidia-container-toolkit
  nvidia-ctk runtime configure --runtime=docker
  systemctl restart docker
else
  echo "SKIPPED: ${nvidiaRepository} does not answer from this box, so NVIDIA's container toolkit was not installed." >&2
  echo "pulumi up with platform linux-cuda needs it, since the proxy's container asks for the card. Install it by hand, then run this again." >&2
fi`,
    alreadyDone: nvidia.toolkit,
    required: false,
  };
}

function dockerUse({ docker, user, login }: PrepareFacts): Step[] {
  // hostctl builds the image as the owner; Pulumi makes the container as who connects.
  const users = login === null ? [user] : [user, login];
  const outside = users.filter(({ groups }) => !groups.includes("docker"));
  const who = users.map(({ name }) => name).join(" and ");
  return [
    {
      id: "docker-service",
      why: docker.running ? "Docker's daemon runs" : "Docker's daemon must run, now and after each boot",
      command: "systemctl enable --now docker",
      alreadyDone: docker.running,
      required: true,
    },
    {
      id: "docker-group",
      why: `${who} ${outside.length === 0 ? "is" : "has to be"} in the group docker, which is as good as root: the proxy's image and container are made over SSH`,
      command: outside.map(({ name }) => `usermod -aG docker ${quote(name)}`).join("\n"),
      alreadyDone: outside.length === 0,
      required: true,
    },
  ];
}

function sudoers({ user, login, dropIn, kernel }: PrepareFacts): Step {
  const become = login === null ? "" : ` and ${login.name} become ${user.name}`;
  return {
    id: "sudoers",
    why: `${sudoersPath} lets ${user.name} manage lmstack's own two services${kernel === "Darwin" ? "" : " and one sysctl file"}${become} without a password, nothing else`,
    // Checked before it has a name that sudo reads: a broken drop-in locks everybody out of sudo.
    command: `fresh="$(mktemp)"
cat >"$fresh" <<'END_OF_DROP_IN'
${sudoersDropIn(user.name, login?.name, kernel)}END_OF_DROP_IN
visudo -cqf "$fresh"
install -o root -g 0 -m 0440 "$fresh" ${sudoersPath}
rm -f "$fresh"`,
    alreadyDone: dropIn,
    required: true,
  };
}

function linger({ user }: PrepareFacts): Step {
  return {
    id: "linger",
    why: `services of ${user.name} ${user.lingers ? "start" : "have to start"} at boot and outlive a logout (become: none)`,
    command: `loginctl enable-linger ${quote(user.name)}`,
    alreadyDone: user.lingers,
    required: true,
  };
}

function models({ models: folder, user }: PrepareFacts): Step[] {
  if (folder === null) return [];
  const path = quote(folder.path);
  const name = quote(user.name);
  return [
    {
      id: "models",
      why: `models lie in ${folder.path}, which ${user.name} must be able to read`,
      command: `install -d -o ${name} -g "$(id -gn ${name})" -m 0755 ${path}`,
      alreadyDone: folder.readable,
      required: true,
    },
  ];
}

function notesOn({ nvidia, docker, host }: PrepareFacts, wanted: Wanted): string[] {
  const notes: string[] = [];
  if (nvidia.card && nvidia.driver === null) {
    notes.push(
      `${host} has an NVIDIA card, but nvidia-smi does not answer. Install NVIDIA's driver and reboot before pulumi up (Debian: nvidia-driver, Ubuntu: ubuntu-drivers install)`,
    );
  }
  if (wanted.docker && docker.version !== null && older(docker.version, oldestDocker)) {
    notes.push(
      `Docker ${docker.version} on ${host} is too old, expected ${oldestDocker} or newer: upgrade it before pulumi up`,
    );
  }
  return notes;
}

function older(found: string, wanted: string): boolean {
  const [a, b] = [found, wanted].map((version) => version.split(".").map(Number));
  for (const [index, part] of (b ?? []).entries()) {
    const own = a?.[index] ?? 0;
    if (own !== part) return own < part;
  }
  return false;
}
