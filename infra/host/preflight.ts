/** What must be so before anything on a host is touched: spec and facts in, faults out. */
import type { Fault } from "../spec/faults.ts";
import { type HostSpec, isRemote, proxyRuntime } from "../spec/host-spec.ts";
import type { Documents } from "./documents.ts";
import type { HostFacts, Listener } from "./facts.ts";

export const hostName = ({ connection }: HostSpec): string =>
  isRemote(connection) ? `host ${connection.host}` : "this machine";

const prepare = (spec: HostSpec): string => {
  const { connection } = spec;
  if (!isRemote(connection)) return "run `npx lmstack host prepare`";
  const port = connection.port === 22 ? "" : ` --port ${connection.port}`;
  return `run \`npx lmstack host prepare --host ${connection.host} --user ${connection.user}${port}\``;
};

export function preflight(spec: HostSpec, documents: Documents, facts: HostFacts): Fault[] {
  const system = platformFaults(spec, facts);
  // On another system than the declared one every further finding would be noise.
  if (system.length > 0) return system;
  return [
    ...privilegeFaults(spec, facts),
    ...gpuFaults(spec, facts),
    ...libraryFaults(spec, facts),
    ...portFaults(spec, facts),
    ...releaseFaults(spec, documents, facts),
    ...modelFaults(spec, documents, facts),
    ...spaceFaults(spec, documents, facts),
  ];
}

function platformFaults(spec: HostSpec, { system, machine }: HostFacts): Fault[] {
  const wanted = spec.platform === "macos-metal" ? "Darwin arm64" : "Linux x86_64 or aarch64";
  const fits =
    spec.platform === "macos-metal"
      ? system === "Darwin" && machine === "arm64"
      : system === "Linux" && /^(x86_64|aarch64|arm64)$/.test(machine);
  if (fits) return [];
  return [
    {
      where: hostName(spec),
      found: `${system} ${machine}`,
      expected: `${wanted} (platform: ${spec.platform})`,
      next: "correct platform or connection.host",
    },
  ];
}

function privilegeFaults(spec: HostSpec, facts: HostFacts): Fault[] {
  const faults: Fault[] = [];
  const where = hostName(spec);
  if (facts.sudo === false) {
    const found = `that ${facts.user} may not run systemctl by sudo -n`;
    faults.push({
      where,
      found,
      expected: "the sudoers file of a prepared host (connection.become: sudo)",
      next: `${prepare(spec)}, or set become: none`,
    });
  }
  if (proxyRuntime(spec) === "docker" && facts.docker === null) {
    const denied = /permission denied/i.test(facts.dockerError ?? "");
    faults.push({
      where,
      found: denied ? `that ${facts.user} may not use Docker` : `no Docker (${facts.dockerError ?? "no answer"})`,
      expected: `a Docker daemon that ${facts.user} may use (proxy.runtime: docker)`,
      next: `${prepare(spec)}, or set proxy.runtime: native`,
    });
  }
  return faults;
}

/** LM Studio's CUDA 12 engines need this driver at least. */
const minimalDriver = [550, 54, 14];

function gpuFaults(spec: HostSpec, { gpu }: HostFacts): Fault[] {
  if (spec.platform !== "linux-cuda") return [];
  const where = hostName(spec);
  if (!gpu) {
    const next = "install NVIDIA's driver, or set platform: linux-cpu";
    return [
      {
        where,
        found: "no answer from nvidia-smi",
        expected: "an NVIDIA card with its driver (platform: linux-cuda)",
        next,
      },
    ];
  }
  const version = gpu.driver.split(".").map(Number);
  const difference = minimalDriver.map((part, index) => (version[index] ?? 0) - part).find((step) => step !== 0) ?? 0;
  if (difference >= 0) return [];
  return [
    {
      where,
      found: `NVIDIA driver ${gpu.driver}`,
      expected: `${minimalDriver.join(".")} or newer, for LM Studio's CUDA engine`,
      next: "update the driver",
    },
  ];
}

function libraryFaults(spec: HostSpec, facts: HostFacts): Fault[] {
  if (facts.system !== "Linux") return [];
  const where = hostName(spec);
  const faults: Fault[] = [];
  const [major = 0, minor = 0] = (facts.glibc ?? "").split(".").map(Number);
  if (major < 2 || (major === 2 && minor < 28)) {
    const next = "use a newer release of the distribution";
    faults.push({
      where,
      found: facts.glibc ? `glibc ${facts.glibc}` : "no glibc",
      expected: "glibc 2.28 or newer",
      next,
    });
  }
  if (!facts.hasLms && !facts.libatomic) {
    faults.push({
      where,
      found: "no libatomic.so.1",
      expected: "libatomic1, which LM Studio needs",
      next: prepare(spec),
    });
  }
  return faults;
}

function portFaults(spec: HostSpec, facts: HostFacts): Fault[] {
  const running =
    facts.observed?.proxy.containers.some((container) => container.running) || facts.observed?.proxy.service?.active;
  const served = facts.observed?.lmstudio.server;
  const mine = (listener: Listener): boolean =>
    listener.ours ||
    (listener.port === spec.proxy.port && running === true) ||
    (listener.port === spec.lmstudio.backendPort && served?.greeting === true && served.port === listener.port);
  const keys = [
    ["proxy.port", spec.proxy.port],
    ["lmstudio.backendPort", spec.lmstudio.backendPort],
  ] as const;
  return keys.flatMap(([key, port]) => {
    const foreign = facts.listeners.find((listener) => listener.port === port && !mine(listener));
    if (!foreign) return [];
    const owner = foreign.program ? `${foreign.program} of uid ${foreign.uid}` : `a program of uid ${foreign.uid}`;
    return [
      {
        where: hostName(spec),
        found: `port ${port} (${key}) in use by ${owner}`,
        expected: "a free port",
        next: `stop it, or choose another ${key}`,
      },
    ];
  });
}

function releaseFaults(spec: HostSpec, { lmstudio }: Documents, facts: HostFacts): Fault[] {
  if (facts.hasLms) return [];
  if (facts.downloads.get("lmstudio") === null) {
    return [
      {
        where: hostName(spec),
        found: `no file at ${lmstudio.url}`,
        expected: "LM Studio's archive (lmstudio.url)",
        next: "place it there or correct lmstudio.url",
      },
    ];
  }
  if (lmstudio.sha512 !== undefined) return [];
  const expected = `128 hexadecimal digits for ${lmstudio.url}, as the host has no LM Studio that could be taken over`;
  return [{ where: "lmstudio.sha512", found: "nothing", expected, next: "take the digest from the publisher" }];
}

function modelFaults(spec: HostSpec, documents: Documents, facts: HostFacts): Fault[] {
  return documents.models.flatMap((model, index): Fault[] => {
    const where = `${hostName(spec)}, model ${model.id}`;
    if (!("path" in model.source)) {
      if (facts.downloads.get(`model-file-${model.id}`) !== null) return [];
      return [
        {
          where,
          found: `no file at ${model.source.url}`,
          expected: "the model's file",
          next: `correct models[${index}].source`,
        },
      ];
    }
    const file = facts.models.get(index);
    const { path } = model.source;
    const imported = facts.observed?.models[model.id]?.imported === true;
    // A moved file is where it belongs: in LM Studio's folder, no longer at its source.
    if (!file || (file.state === "absent" && model.import === "move" && imported)) return [];
    if (file.state !== "file") {
      const found = {
        absent: `no file ${path}`,
        nofile: `${path}, which is not a file`,
        unreadable: `${path}, which ${facts.user} may not read`,
      }[file.state];
      return [
        {
          where,
          found,
          expected: "a readable GGUF file on the host",
          next: `place it there or correct models[${index}].source.path`,
        },
      ];
    }
    if (!file.gguf) {
      return [
        {
          where,
          found: `${path}, which does not begin as a GGUF file does`,
          expected: "a GGUF file",
          next: "check the download",
        },
      ];
    }
    if (file.sha256 === null || model.sha256 === undefined || file.sha256 === model.sha256) return [];
    return [
      {
        where,
        found: `sha256 ${file.sha256} of ${path}`,
        expected: `${model.sha256} (models[${index}].sha256)`,
        next: "fetch the file again or correct the digest",
      },
    ];
  });
}

/** Room that stays free: logs, state, a download's last blocks. */
const reserveBytes = 512 * 2 ** 20;
/** The archive, and what comes out of it, lie side by side for a moment. */
const unpackedTimes = 3;

function spaceFaults(spec: HostSpec, documents: Documents, facts: HostFacts): Fault[] {
  const needs: { what: string; bytes: number }[] = [];
  if (!facts.hasLms) needs.push({ what: "LM Studio", bytes: (facts.downloads.get("lmstudio") ?? 0) * unpackedTimes });
  documents.models.forEach((model, index) => {
    const copies = model.import === "copy" && facts.observed?.models[model.id]?.imported !== true ? 1 : 0;
    const fetched = facts.downloads.get(`model-file-${model.id}`);
    const bytes = fetched ? fetched * (1 + copies) : (facts.models.get(index)?.bytes ?? 0) * copies;
    needs.push({ what: model.id, bytes });
  });
  const wanted = needs.filter(({ bytes }) => bytes > 0);
  const total = wanted.reduce((sum, { bytes }) => sum + bytes, 0);
  if (total === 0 || total + reserveBytes <= facts.freeBytes) return [];
  const list = wanted.map(({ what, bytes }) => `${what} ${gibibytes(bytes)}`).join(", ");
  return [
    {
      where: hostName(spec),
      found: `${gibibytes(facts.freeBytes)} free below ${facts.home}`,
      expected: `${gibibytes(total + reserveBytes)} (${list}, and a reserve)`,
      next: "free some space, or use import: symlink with a file on another disk",
    },
  ];
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
