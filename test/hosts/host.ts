/** Starts, uses and removes hosts to deploy to: containers with systemd, sshd and dockerd, reached as a real box is. */
import { createHash } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { Flavour } from "./base.ts";
import { dockerRun, label, labelled } from "./docker.ts";
import { ensureIdentity, folder } from "./identity.ts";
import { ensureHostImage, type Stage, user } from "./image.ts";
import { addressesFor, ensureNetwork, removeNetwork } from "./network.ts";
import type { Progress } from "./progress.ts";
import { waitUntilReady } from "./ready.ts";
import { runFlags } from "./run-flags.ts";

export interface HostOptions {
  /** Letters, digits and hyphens; the container is `lmstack-test-<name>`, the host name is `<name>`. */
  readonly name: string;
  /** Debian 12 with Docker 20.10, or Debian 13 with Docker 26. Default: LMSTACK_TEST_FLAVOUR, else bookworm. */
  readonly flavour?: Flavour;
  /** An NVIDIA card, as far as `nvidia-smi` and `--gpus` show one. Default true. */
  readonly gpu?: boolean;
  /** Docker is installed and running. Default true; only looked at on a prepared host. */
  readonly docker?: boolean;
  /** HAProxy is installed, and no Docker. Default false. */
  readonly gateway?: boolean;
  /** What `lmstack host prepare` brings is there. Default true. When false the user may do everything through sudo without a password. */
  readonly prepared?: boolean;
  /** Use a host of this name that already runs with the same settings instead of making a new one. Default false. */
  readonly reuse?: boolean;
  readonly onProgress?: Progress;
}

interface ExecOptions {
  /** As root instead of the user. */
  readonly root?: boolean;
  readonly stdin?: string | Uint8Array;
  /** Default true: an exit code other than 0 throws, with the command's output. */
  readonly reject?: boolean;
}

interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TestHost extends AsyncDisposable {
  readonly name: string;
  readonly container: string;
  /** On the bridge; the same after a reboot. */
  readonly address: string;
  readonly port: 22;
  readonly user: "gpu";
  /** `ssh-ed25519 AAAA…`, the same after a reboot. */
  readonly hostKey: string;
  readonly identityFile: string;
  /** Holds `hostKey` for `address`. */
  readonly knownHostsFile: string;
  /** A bash command on the host, past SSH, in the user's home. */
  exec(command: string, options?: ExecOptions): Promise<ExecResult>;
  /** A bash command over SSH with the pinned host key. */
  ssh(command: string, options?: Omit<ExecOptions, "root">): Promise<ExecResult>;
  /** Arguments that make `ssh` reach the host with the pinned key, without the command to run. */
  readonly sshArgs: readonly string[];
  /** Copies one file or folder to the exact path `remote`; owner defaults to the user, mode stays as it is. */
  copyIn(local: string, remote: string, options?: { readonly owner?: string; readonly mode?: string }): Promise<void>;
  /** Waits until everything answers again. */
  reboot(): Promise<void>;
  /** Freezes every process, as a host that hangs: connections are accepted by nobody. */
  pause(): Promise<void>;
  unpause(): Promise<void>;
  /** Power off; `start` brings it back. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Removes the host and its volumes. Twice does no harm. */
  remove(): Promise<void>;
}

/**
 * Starts a host and waits until it is ready: systemd has finished booting, sshd answers, dockerd (where wanted) runs.
 * @throws with the last lines of the host's journal when it does not become ready
 */
export async function startHost(options: HostOptions): Promise<TestHost> {
  const { name, flavour = defaultFlavour(), gpu = true, prepared = true, onProgress = () => {} } = options;
  if (!/^[a-z0-9][a-z0-9-]{0,40}$/.test(name))
    throw new Error(`A test host's name is lower-case letters, digits and hyphens, not "${name}"`);
  const ready = options.gateway ? "gateway" : (options.docker ?? true) ? "docker" : "plain";
  const stage: Stage = prepared ? ready : "bare";
  const container = `lmstack-test-${name}`;
  const { identityFile, publicKey } = await ensureIdentity();
  const image = await ensureHostImage(flavour, stage, onProgress);
  // Another clone of the project has another key, and its host would let nobody of this one in.
  const settings = `${image} gpu=${gpu} key=${createHash("sha256").update(publicKey).digest("hex").slice(0, 12)}`;

  if (!(options.reuse && (await settingsOf(container)) === settings)) {
    await removeHosts(name);
    onProgress(`starting host ${name} (${flavour}${gpu ? ", with a stand-in for an RTX 5090" : ""})`);
    await run({ name, container, image, settings, gpu, publicKey });
  } else {
    // An earlier run may have ended while it was paused.
    await execa("docker", ["unpause", container], { reject: false });
    await dockerRun(["start", container]);
  }
  const { hostKey } = await waitUntilReady(container);
  const address = await dockerRun([
    "inspect",
    "--format",
    "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
    container,
  ]);
  const files = join(folder, name);
  const knownHostsFile = join(files, "known_hosts");
  await mkdir(files, { recursive: true, mode: 0o700 });
  await writeFile(knownHostsFile, `${address} ${hostKey}\n`);
  onProgress(`host ${name} is up at ${address}`);
  return host({ name, container, address, hostKey, identityFile, knownHostsFile });
}

/** The long run goes over the same tests with the other flavour. */
function defaultFlavour(): Flavour {
  const wanted = process.env.LMSTACK_TEST_FLAVOUR ?? "bookworm";
  if (wanted === "bookworm" || wanted === "trixie") return wanted;
  throw new Error(`LMSTACK_TEST_FLAVOUR is "${wanted}"; expected bookworm or trixie`);
}

/** Removes every test host, or one, with volumes and, when no host is left, their network. Idempotent; images and caches stay. */
export async function removeHosts(name?: string): Promise<void> {
  const containers = await labelled("container", name);
  if (containers.length > 0) await dockerRun(["rm", "--force", "--volumes", ...containers]);
  const volumes = await labelled("volume", name);
  if (volumes.length > 0) await dockerRun(["volume", "rm", "--force", ...volumes]);
  if (name === undefined) {
    await removeNetwork();
  }
  if (name !== undefined) await rm(join(folder, name), { recursive: true, force: true });
}

async function settingsOf(container: string): Promise<string | null> {
  try {
    return await dockerRun(["inspect", "--format", `{{index .Config.Labels "${label}.settings"}}`, container]);
  } catch {
    return null;
  }
}

interface RunOptions {
  readonly name: string;
  readonly container: string;
  readonly image: string;
  readonly settings: string;
  readonly gpu: boolean;
  readonly publicKey: string;
}

async function run({ name, container, image, settings, gpu, publicKey }: RunOptions): Promise<void> {
  const { network, prefix } = await ensureNetwork();
  const volumes = { [`${container}-docker`]: "/var/lib/docker", [`${container}-models`]: "/models" };
  for (const volume of Object.keys(volumes))
    await dockerRun(["volume", "create", "--label", `${label}=${name}`, volume]);
  await dockerRun([
    "create",
    ...["--name", container, "--hostname", name],
    ...["--label", `${label}=${name}`, "--label", `${label}.settings=${settings}`],
    ...["--env", `LMSTACK_TEST_AUTHORIZED_KEY=${publicKey}`, "--env", `LMSTACK_TEST_GPU=${gpu ? 1 : 0}`],
    ...Object.entries(volumes).flatMap(([volume, path]) => ["--volume", `${volume}:${path}`]),
    ...runFlags,
    ...["--network", "none", image],
  ]);
  await dockerRun(["network", "disconnect", "none", container]);
  await joinNetwork(container, network, addressesFor(name, prefix));
  await dockerRun(["start", container]);
}

async function joinNetwork(container: string, network: string, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    const result = await execa("docker", ["network", "connect", "--ip", address, network, container], {
      reject: false,
    });
    if (result.exitCode === 0) return;
    if (!/address already in use|already allocated/i.test(result.stderr))
      throw new Error(`docker network connect failed: ${result.stderr}`);
  }
  throw new Error(
    `Every address of the network ${network} is taken; remove the hosts that earlier runs left: removeHosts()`,
  );
}

type Identity = Pick<TestHost, "name" | "container" | "address" | "hostKey" | "identityFile" | "knownHostsFile">;

function host(identity: Identity): TestHost {
  const { name, container, address, identityFile, knownHostsFile } = identity;
  const sshArgs = [
    ...["-F", "none", "-i", identityFile, "-p", "22"],
    ...[
      "-o",
      "IdentitiesOnly=yes",
      "-o",
      "BatchMode=yes",
      "-o",
      "StrictHostKeyChecking=yes",
      "-o",
      `UserKnownHostsFile=${knownHostsFile}`,
    ],
    ...["-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR", `${user}@${address}`],
  ];
  const exec: TestHost["exec"] = (command, options = {}) => {
    const who = options.root
      ? ["--user", "root", "--workdir", "/root"]
      : ["--user", user, "--workdir", `/home/${user}`, "--env", `HOME=/home/${user}`, "--env", `USER=${user}`];
    return captured(
      `on test host ${name}`,
      command,
      "docker",
      ["exec", "--interactive", ...who, container, "bash", "-c", command],
      options,
    );
  };
  return {
    ...identity,
    port: 22,
    user,
    sshArgs,
    exec,
    ssh: (command, options = {}) =>
      captured(`over ssh on test host ${name}`, command, "ssh", [...sshArgs, command], options),
    async copyIn(local, remote, { owner = user, mode } = {}) {
      await dockerRun(["cp", local, `${container}:${remote}`]);
      await dockerRun(["exec", container, "chown", "--recursive", `${owner}:`, remote]);
      if (mode !== undefined) await dockerRun(["exec", container, "chmod", mode, remote]);
    },
    async reboot() {
      await dockerRun(["restart", "-t", "30", container]);
      await waitUntilReady(container);
    },
    pause: async () => void (await dockerRun(["pause", container])),
    unpause: async () => void (await dockerRun(["unpause", container])),
    stop: async () => void (await dockerRun(["stop", "-t", "30", container])),
    async start() {
      await dockerRun(["start", container]);
      await waitUntilReady(container);
    },
    remove: () => removeHosts(name),
    [Symbol.asyncDispose]: () => removeHosts(name),
  };
}

async function captured(
  where: string,
  command: string,
  program: string,
  args: readonly string[],
  options: ExecOptions,
): Promise<ExecResult> {
  const { exitCode, stdout, stderr, shortMessage } = await execa(program, args, {
    reject: false,
    stripFinalNewline: false,
    input: options.stdin ?? "",
  });
  if (exitCode === undefined) throw new Error(`${program} did not run: ${shortMessage}`);
  if (exitCode !== 0 && options.reject !== false) {
    throw new Error(`Exit ${exitCode} ${where}: ${command}\n${stderr}${stdout}`);
  }
  return { exitCode, stdout, stderr };
}
