/** What may happen to a host, and which end state is right then. The table of docs/chaos.md. */

/**
 * `healed`: all is as declared again, by itself. `quarantined`: the victim's model is reported failed with its reason, all else serves, and the next
 * `up` heals once the cause is gone. `all quarantined`: the same of LM Studio as a whole. `next up`: the next `up` makes all as declared.
 */
export type Ending = "healed" | "quarantined" | "all quarantined" | "next up";

export interface Kind {
  readonly name: string;
  readonly happens: string;
  readonly ending: Ending;
  /** What brings the end state about. */
  readonly because: string;
  /** The proxy itself is struck: connections to it may break. */
  readonly breaks: boolean;
  /** Over within seconds: part of the short run in `npm test`. */
  readonly quick: boolean;
}

const healed = { ending: "healed", breaks: false, quick: false } as const;

export const kinds = [
  {
    ...healed,
    name: "daemon-killed",
    happens: "`kill -9` of LM Studio's daemon",
    because: "the supervisor starts daemon, server and models again",
    quick: true,
  },
  {
    ...healed,
    name: "supervisor-killed",
    happens: "`kill -9` of the supervisor",
    because: "systemd starts it again; the daemon ends with its control group and is started anew",
    quick: true,
  },
  {
    ...healed,
    name: "daemon-hangs",
    happens: "LM Studio's daemon is stopped by SIGSTOP: it keeps its sockets and answers nobody",
    because: "the supervisor stops its server in vain, then ends it with all it started, and starts another",
  },
  {
    ...healed,
    name: "server-hangs",
    happens: "LM Studio's server takes connections and answers none, until it is started again",
    because: "after eight silent greetings the supervisor stops it and starts it again; daemon and models stay",
  },
  {
    ...healed,
    name: "supervisor-hangs",
    happens: "the supervisor is stopped by SIGSTOP",
    because:
      "systemd hears nothing of it for 30 s, kills it and starts another; the daemon ends with its control group",
  },
  {
    name: "daemon-dies-on",
    happens: "the daemon is killed each time that it is back, twelve times at most",
    ending: "all quarantined",
    because:
      "a repair that does not hold is tried every five minutes only, `lmstack status` says why, and `up` at once",
    breaks: false,
    quick: false,
  },
  {
    ...healed,
    name: "proxy-killed",
    happens: "`kill -9` of the proxy",
    because: "Docker starts the container again",
    breaks: true,
    quick: true,
  },
  {
    ...healed,
    name: "dockerd-killed",
    happens: "`kill -9` of dockerd",
    because: "systemd starts it again, and the supervisor the proxy's container where Docker leaves it ended",
    breaks: true,
  },
  {
    ...healed,
    name: "reboot",
    happens: "the host restarts",
    because: "service and container are enabled at boot; the supervisor loads the models",
    breaks: true,
    quick: true,
  },
  {
    ...healed,
    name: "disk-full",
    happens: "the home's disk is full for 15 s, and the daemon dies meanwhile",
    because: "what could not be written is written when there is room again",
  },
  {
    name: "settings-overwritten",
    happens: "somebody replaces both of LM Studio's settings files",
    ending: "next up",
    because: "`up` names the settings that changed, takes the daemon down and merges them again",
    breaks: false,
    quick: false,
  },
  {
    name: "model-deleted",
    happens: "a model's file is gone, and the daemon dies",
    ending: "quarantined",
    because: "the supervisor says which file is gone; with the file back the next `up` loads it",
    breaks: false,
    quick: true,
  },
  {
    name: "model-corrupted",
    happens: "a model's file is overwritten, and the daemon dies",
    ending: "quarantined",
    because: "LM Studio's own words are the reason; with the right file back the next `up` loads it",
    breaks: false,
    quick: false,
  },
  {
    ...healed,
    name: "backend-port-taken",
    happens: "the daemon dies, and another program has LM Studio's port for 20 s",
    because: "the supervisor says that the port is taken, tries again and again, and takes it when it is free",
  },
  {
    ...healed,
    name: "proxy-port-taken",
    happens: "the proxy dies, and another program has its port for 10 s",
    because: "the proxy says that the port is taken and ends; Docker starts it again until it has the port",
    breaks: true,
  },
  {
    ...healed,
    name: "stray-lms",
    happens: "the daemon dies, and `lms ls` in a login shell starts one",
    because: "one daemon is left, with what is declared, whoever was first",
    quick: true,
  },
  {
    ...healed,
    name: "gpu-hook-broken",
    happens:
      "the driver's container hook fails, and the proxy dies; the hook works again only when the endpoint has answered meanwhile",
    because:
      "the supervisor says why the proxy's container does not start and starts one without the GPU; the declared one is back when the hook works",
    breaks: true,
  },
  {
    name: "network-cut",
    happens: "the operator's network is cut for 20 s during an `up`",
    ending: "next up",
    because: "every step on the host is whole or can be made again",
    breaks: false,
    quick: false,
  },
  {
    name: "two-ups",
    happens: "two `up` of one stack at once",
    ending: "next up",
    because: "the engine locks the stack and hostctl the host: one of them works, the other says why not",
    breaks: false,
    quick: false,
  },
  {
    name: "up-killed",
    happens: "an `up` is killed with its language host and plugins",
    ending: "next up",
    because: "every step on the host is whole or can be made again",
    breaks: false,
    quick: false,
  },
] as const satisfies readonly Kind[];

export type KindName = (typeof kinds)[number]["name"];

/** From the end of the fault to the right end state, on top of the time that the models take to load. */
export const withinSeconds = 60;
