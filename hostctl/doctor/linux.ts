/** What stops a Linux host that nobody looks after: facts in, findings out. */
import type { DoctorDocument, Finding } from "../../infra/spec/host-documents.ts";

/** Null is what could not be asked or read. */
export interface LinuxFacts {
  readonly user: string;
  /** From `nvidia-smi`; `error` is its last line when it failed. */
  readonly gpu: { readonly driver: string; readonly persistence: boolean } | { readonly error: string };
  /** Services of the user start at boot and outlive a logout. */
  readonly lingers: boolean;
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Where each model lies: its mount point, and whether the host mounts that at boot. */
  readonly models: readonly {
    readonly path: string;
    readonly there: boolean;
    readonly mountPoint: string;
    readonly mountedAtBoot: boolean;
  }[];
  readonly clockSynchronized: boolean | null;
}

export function linuxFindings(facts: LinuxFacts, document: DoctorDocument): Finding[] {
  return [
    ...(document.platform === "linux-cuda" ? gpu(facts) : []),
    ...(document.become === "none" ? [linger(facts)] : []),
    ...facts.models.map(mount),
    disk(facts),
    clock(facts),
  ];
}

function gpu({ gpu: found }: LinuxFacts): Finding[] {
  if ("error" in found) {
    const words = `nvidia-smi does not answer: ${found.error}`;
    return [{ check: "gpu-driver", verdict: "problem", words, fix: "install or rebuild NVIDIA's driver, then reboot" }];
  }
  const driver: Finding = { check: "gpu-driver", verdict: "ok", words: `NVIDIA driver ${found.driver} answers` };
  if (found.persistence)
    return [driver, { check: "gpu-persistence", verdict: "ok", words: "the card stays initialised when idle" }];
  return [
    driver,
    {
      check: "gpu-persistence",
      verdict: "warning",
      words: "persistence mode is off: the driver lets go of an idle card, and the next load waits for it",
      fix: "sudo systemctl enable --now nvidia-persistenced",
    },
  ];
}

function linger({ lingers, user }: LinuxFacts): Finding {
  const check = "linger";
  if (lingers) return { check, verdict: "ok", words: `services of ${user} start at boot` };
  return {
    check,
    verdict: "problem",
    words: `with become: none the services end when ${user} logs out, and do not start at boot`,
    fix: `sudo loginctl enable-linger ${user}`,
  };
}

function mount({ path, there, mountPoint, mountedAtBoot }: LinuxFacts["models"][number]): Finding {
  const check = "model-mount";
  if (!there) return { check, verdict: "problem", words: `${path} is not there`, fix: "findmnt --verify; mount -a" };
  if (mountedAtBoot) return { check, verdict: "ok", words: `${path} is on ${mountPoint}` };
  return {
    check,
    verdict: "problem",
    words: `${path} is on ${mountPoint}, which was mounted by hand and is not there after a reboot`,
    fix: `add ${mountPoint} to /etc/fstab`,
  };
}

const lowBytes = 5 * 2 ** 30;

function disk({ freeBytes, totalBytes }: LinuxFacts): Finding {
  const check = "disk";
  const words = `${gib(freeBytes)} of ${gib(totalBytes)} are free in the home`;
  if (freeBytes >= lowBytes) return { check, verdict: "ok", words };
  return {
    check,
    verdict: freeBytes < lowBytes / 10 ? "problem" : "warning",
    words: `${words}: logs, state and an update of LM Studio need some`,
    fix: "du -xh ~ | sort -h | tail -n 20",
  };
}

function clock({ clockSynchronized }: LinuxFacts): Finding {
  const check = "clock";
  if (clockSynchronized === null)
    return { check, verdict: "unknown", words: "timedatectl did not say whether the clock is synchronized" };
  if (clockSynchronized) return { check, verdict: "ok", words: "the clock is synchronized" };
  const words = "the clock is not synchronized: keys expire at the wrong time, and downloads by TLS may fail";
  return { check, verdict: "warning", words, fix: "sudo timedatectl set-ntp true" };
}

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
