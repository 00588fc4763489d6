/** What must be so before anything on a host is touched: spec and facts in, faults out. */
import { type Fault, fault } from "../spec/faults.ts";
import { type HostSpec, isRemote, proxyRuntime } from "../spec/host-spec.ts";
import { isFolder } from "../spec/model-names.ts";
import { archiveTimes, roomFor } from "../spec/space.ts";
import type { Documents } from "./documents.ts";
import type { HostFacts, Listener } from "./facts.ts";

export const hostName = ({ connection }: HostSpec): string =>
  isRemote(connection) ? `host ${connection.host}` : "this machine";

/** The stack's file tells the command the rest: address, jump host, owner and `become`. */
const prepare = ({ lmstudio }: Documents): string => `run \`npx lmstack host prepare --stack ${lmstudio.stack}\``;

/** By what they concern, in the order in which a person would put them right; what is in order has no faults. */
export type Preflight = Readonly<Record<string, readonly Fault[]>>;

export const preflight = (spec: HostSpec, documents: Documents, facts: HostFacts): Fault[] =>
  Object.values(preflightByConcern(spec, documents, facts)).flat();

export function preflightByConcern(spec: HostSpec, documents: Documents, facts: HostFacts): Preflight {
  const platform = [...platformFaults(spec, facts)];
  const { stack } = documents.lmstudio;
  if (facts.stack !== null && facts.stack !== stack) {
    const next = `run \`pulumi destroy --stack ${facts.stack}\` where that stack is, or remove ~/.lmstack/stack on the host if it is gone`;
    const found = `that the host already belongs to stack ${facts.stack}`;
    return { owner: [fault(hostName(spec), found, `this stack, ${stack}`, next)] };
  }
  // On another system than the declared one every further finding would be noise.
  if (platform.length > 0) return { platform };
  return {
    platform,
    sudo: [...sudoFaults(spec, documents, facts)],
    docker: [...dockerFaults(spec, documents, facts)],
    driver: [...gpuFaults(spec, facts)],
    libraries: [...libraryFaults(spec, documents, facts)],
    ports: [...portFaults(spec, facts)],
    release: [...releaseFaults(spec, documents, facts)],
    models: [...modelFaults(spec, documents, facts)],
    space: [...spaceFaults(spec, documents, facts)],
  };
}

function* platformFaults(spec: HostSpec, { system, machine }: HostFacts): Iterable<Fault> {
  const mac = spec.platform === "macos-metal";
  const fits = mac
    ? system === "Darwin" && machine === "arm64"
    : system === "Linux" && /^(x86_64|aarch64|arm64)$/.test(machine);
  if (fits) return;
  const expected = `${mac ? "Darwin arm64" : "Linux x86_64 or aarch64"} (platform: ${spec.platform})`;
  yield fault(hostName(spec), `${system} ${machine}`, expected, "correct platform or connection.host");
}

function* sudoFaults(spec: HostSpec, documents: Documents, { user, sudo, system }: HostFacts): Iterable<Fault> {
  if (sudo !== false) return;
  const manager = system === "Darwin" ? "launchctl" : "systemctl";
  const expected = "the sudoers file of a prepared host (connection.become: sudo)";
  const next = `${prepare(documents)}, or set become: none`;
  yield fault(hostName(spec), `that ${user} may not run ${manager} by sudo -n`, expected, next);
}

function* dockerFaults(spec: HostSpec, documents: Documents, facts: HostFacts): Iterable<Fault> {
  const { user, docker, dockerError } = facts;
  if (proxyRuntime(spec) !== "docker" || docker !== null) return;
  const denied = /permission denied/i.test(dockerError ?? "");
  const found = denied ? `that ${user} may not use Docker` : `no Docker (${dockerError ?? "no answer"})`;
  const expected = `a Docker daemon that ${user} may use (proxy.runtime: docker)`;
  yield fault(hostName(spec), found, expected, `${prepare(documents)}, or set proxy.runtime: native`);
}

/** LM Studio's CUDA 12 engines need this driver at least. */
const minimalDriver = [550, 54, 14];

function* gpuFaults(spec: HostSpec, { gpu }: HostFacts): Iterable<Fault> {
  if (spec.platform !== "linux-cuda") return;
  const where = hostName(spec);
  if (!gpu) {
    const expected = "an NVIDIA card with its driver (platform: linux-cuda)";
    const next = "install NVIDIA's driver, or set platform: linux-cpu";
    yield fault(where, "no answer from nvidia-smi", expected, next);
    return;
  }
  const version = gpu.driver.split(".").map(Number);
  const difference = minimalDriver.map((part, index) => (version[index] ?? 0) - part).find((step) => step !== 0) ?? 0;
  if (difference >= 0) return;
  const expected = `${minimalDriver.join(".")} or newer, for LM Studio's CUDA engine`;
  yield fault(where, `NVIDIA driver ${gpu.driver}`, expected, "update the driver");
}

/** What somebody else installed is taken over as it is, whatever its version. */
const installs = ({ lmstudio }: HostSpec, { lms, observed }: HostFacts): boolean =>
  lms === "absent" ||
  lms === "own" ||
  (lms === "declared" && observed !== null && observed.lmstudio.installedVersion !== lmstudio.version);

function* libraryFaults(spec: HostSpec, documents: Documents, facts: HostFacts): Iterable<Fault> {
  const { system, glibc, libatomic } = facts;
  if (system !== "Linux") return;
  const where = hostName(spec);
  const [major = 0, minor = 0] = (glibc ?? "").split(".").map(Number);
  if (major < 2 || (major === 2 && minor < 28)) {
    const next = "use a newer release of the distribution";
    yield fault(where, glibc ? `glibc ${glibc}` : "no glibc", "glibc 2.28 or newer", next);
  }
  if (installs(spec, facts) && !libatomic)
    yield fault(where, "no libatomic.so.1", "libatomic1, which LM Studio needs", prepare(documents));
}

function* portFaults(spec: HostSpec, { observed, listeners }: HostFacts): Iterable<Fault> {
  const serves = observed?.proxy.containers.some(({ running }) => running) || observed?.proxy.service?.active;
  const server = observed?.lmstudio.server;
  // In a container the proxy belongs to a process that may not be looked at: then the port in its configuration tells.
  const mine = ({ ours, port }: Listener): boolean =>
    ours || (serves === true && port === observed?.proxy.port) || (server?.greeting === true && port === server.port);
  const keys = [
    ["proxy.port", spec.proxy.port],
    ["lmstudio.backendPort", spec.lmstudio.backendPort],
  ] as const;
  for (const [key, port] of keys) {
    const foreign = listeners.find((listener) => listener.port === port && !mine(listener));
    if (!foreign) continue;
    const owner = foreign.program ? `${foreign.program} of uid ${foreign.uid}` : `a program of uid ${foreign.uid}`;
    const found = `port ${port} (${key}) in use by ${owner}`;
    yield fault(hostName(spec), found, "a free port", `stop it, or choose another ${key}`);
  }
}

function* releaseFaults(spec: HostSpec, { lmstudio }: Documents, facts: HostFacts): Iterable<Fault> {
  if (!installs(spec, facts)) return;
  if (facts.downloads.get("lmstudio") === null) {
    const next = "place it there or correct lmstudio.url";
    yield fault(hostName(spec), `no file at ${lmstudio.url}`, "LM Studio's archive (lmstudio.url)", next);
  } else if (lmstudio.sha512 === undefined) {
    const expected = `128 hexadecimal digits for ${lmstudio.url}, which has to be installed`;
    yield fault("lmstudio.sha512", "nothing", expected, "take the digest from the publisher");
  }
}

function* modelFaults(spec: HostSpec, documents: Documents, facts: HostFacts): Iterable<Fault> {
  for (const [index, model] of documents.models.entries()) {
    const where = `${hostName(spec)}, model ${model.id}`;
    if (!("path" in model.source)) {
      if ("url" in model.source && facts.downloads.get(`model-file-${model.id}`) === null)
        yield fault(where, `no file at ${model.source.url}`, "the model's file", `correct models[${index}].source`);
      continue;
    }
    const file = facts.models.get(index);
    const { path } = model.source;
    const imported = facts.observed?.models[model.id]?.imported === true;
    // A moved file is where it belongs: in LM Studio's folder, no longer at its source.
    if (!file || (file.state === "absent" && model.import === "move" && imported)) continue;
    const folder = isFolder(model.source);
    if (file.state !== (folder ? "nofile" : "file")) {
      const found = {
        absent: `no ${folder ? "folder" : "file"} ${path}`,
        nofile: `${path}, which is not a file`,
        file: `${path}, which is not a folder`,
        unreadable: `${path}, which ${facts.user} may not read`,
      }[file.state];
      const next = `place it there or correct models[${index}].source.path`;
      const expected = folder
        ? "a folder on the host, or a path that ends in .gguf"
        : "a readable GGUF file on the host";
      yield fault(where, found, expected, next);
    } else if (!folder && !file.gguf) {
      yield fault(where, `${path}, which does not begin as a GGUF file does`, "a GGUF file", "check the download");
    } else if (!folder && file.sha256 !== null && typeof model.sha256 === "string" && file.sha256 !== model.sha256) {
      const expected = `${model.sha256} (models[${index}].sha256)`;
      yield fault(where, `sha256 ${file.sha256} of ${path}`, expected, "fetch the file again or correct the digest");
    }
  }
}

function* spaceFaults(spec: HostSpec, documents: Documents, facts: HostFacts): Iterable<Fault> {
  const needs: { what: string; bytes: number }[] = [];
  // What was fetched before a download was cut off takes no room any more.
  const room = (name: string, times: number) => {
    const sum = (bytes: ReadonlyMap<string, number | null>) =>
      [...bytes].reduce((all, [key, one]) => (key === name || key.startsWith(`${name}/`) ? all + (one ?? 0) : all), 0);
    return sum(facts.downloads) * times - sum(facts.fetched);
  };
  if (installs(spec, facts)) needs.push({ what: "LM Studio", bytes: room("lmstudio", archiveTimes) });
  documents.models.forEach((model, index) => {
    const copies = model.import === "copy" && facts.observed?.models[model.id]?.imported !== true ? 1 : 0;
    const fetched = room(`model-file-${model.id}`, 1 + copies);
    needs.push({ what: model.id, bytes: fetched || (facts.models.get(index)?.bytes ?? 0) * copies });
  });
  const wanted = needs.filter(({ bytes }) => bytes > 0);
  const total = wanted.reduce((sum, { bytes }) => sum + bytes, 0);
  if (total === 0 || roomFor(total) <= facts.freeBytes) return;
  const list = wanted.map(({ what, bytes }) => `${what} ${gibibytes(bytes)}`).join(", ");
  const expected = `${gibibytes(roomFor(total))} (${list}, and a reserve)`;
  const next = "free some space, or use import: symlink with a file on another disk";
  yield fault(hostName(spec), `${gibibytes(facts.freeBytes)} free below ${facts.home}`, expected, next);
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
