/**
 * Where things lie on a host. Everything belongs to `lmstudio.user` and lies in that user's home; root owns only the service file and
 * one sysctl file. Paths are relative to the home unless they begin with a slash.
 */
export const hostLayout = {
  root: ".lmstack",
  /** Content-addressed runtimes: `runtime/<hash>/{node,hostctl.mjs,hostctl-*.mjs,proxy.mjs,images/proxy/Dockerfile}`. */
  runtimes: ".lmstack/runtime",
  /** Symbolic link to the runtime in use. */
  current: ".lmstack/current",
  tokens: ".lmstack/tokens",
  desired: ".lmstack/desired",
  locks: ".lmstack/locks",
  /** Supervisor's socket and status. */
  run: ".lmstack/run",
  logs: ".lmstack/logs",
  downloads: ".lmstack/downloads",
  /** Fetched files by their sha256. */
  store: ".lmstack/store/sha256",
  /** Checksums already computed, keyed by path, size, mtime and inode. */
  verified: ".lmstack/verified",
  /** What lmstack installed, wrote and imported, so that removal takes exactly that. */
  state: ".lmstack/state",
  /** What was there before lmstack: LM Studio set up by a person or by the ancestor's script. */
  adopted: ".lmstack/adopted.json",
  /** Bind-mounted into the proxy's container at `/run/lmstack`: `proxy.json`, `keys.json`, admin sockets. */
  proxy: ".lmstack/proxy",
  lmstudio: ".lmstudio",
} as const;

/** Beside `proxy.json`, so that the proxy takes other keys while it runs. */
export const keysFileName = "keys.json";

/** Beside `proxy.json`: which instance of LM Studio answers for a model, where it is not the one of its name. Nothing writes it yet (issue 6). */
export const instancesFileName = "instances.json";

/** Service names: systemd's, with `.service`; launchd's come from them. */
export const services = { supervisor: "lmstack-supervisor", proxy: "lmstack-proxy" } as const;

/** launchd's name of a service, and of its file without `.plist`. */
export const launchdLabel = (service: string): string => `dev.lmstack.${service.replace(/^lmstack-/, "")}`;

/** Labels on everything that lmstack makes in Docker. */
export const dockerLabels = {
  stack: "dev.lmstack.stack",
  token: "dev.lmstack.token",
  role: "dev.lmstack.role",
  /** Of a proxy without the GPU: which container it stands in for. */
  standIn: "dev.lmstack.stand-in",
} as const;

export const sysctlFile = "/etc/sysctl.d/60-lmstack.conf";
export const systemdUnitFolder = "/etc/systemd/system";
export const launchDaemonsFolder = "/Library/LaunchDaemons";

/** Inside the proxy's container. */
export const containerLayout = {
  shared: "/run/lmstack",
  program: "/app/proxy.mjs",
  node: "/usr/local/bin/node",
} as const;

/**
 * How Node runs the proxy. Most of what a request makes dies young and small, so a small nursery stays in the processor's cache; and Node's middle
 * compiler costs 16 MB and, measured on the proxy, a third more time per small request than it saves (Node 26). The bytes of large bodies count
 * against the limit at which the whole heap is marked, which for a heap as small as this one is soon reached: after a pause, marking took half of
 * the time of 1 MB bodies. With four heaps more to grow it is seldom.
 */
export const proxyNodeOptions = ["--max-semi-space-size=2", "--no-maglev", "--heap-growing-percent=400"] as const;

/** It does little and stays for months: without compiled code and its statistics it keeps 5 MB less, and takes no more of a processor. For a bundle only: Node reads TypeScript with what this switches off. */
export const supervisorNodeOptions = ["--lite-mode"] as const;
