/**
 * A parent that holds the listening socket, for services without a container: the socket outlives each serving process, so that replacing one
 * refuses nobody, on systems whose SO_REUSEPORT does not balance too. It never accepts; the child does, on the inherited descriptor.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import net from "node:net";
import { getSystemErrorName } from "node:util";
import type { Logger } from "pino";
import type { ProxyConfig } from "../../infra/spec/proxy-config.ts";
import { ConfigFault, readConfig } from "../config.ts";
import { inheritedSocket } from "./inherited-socket.ts";

type Listen = ProxyConfig["listen"];

interface Socket {
  readonly listen: Listen;
  readonly fd: number;
  /** Safe to call twice. */
  readonly close: () => void;
}

/** libuv's handle of a bound TCP socket. Node exports its maker for its own cluster module, under a name with an underscore. */
interface Bound {
  readonly fd: number;
  close(): void;
  /** The answer is 0 or the system's error, negative. */
  getsockname(place: object): number;
}
type MakeBound = (address: string, port: number, family: 4 | 6, fd: number, flags: number) => Bound | number;

/** UV_TCP_REUSEPORT: a container's proxy on the same port hands over to a native one, and the other way round. */
const flags = process.platform === "linux" ? 2 : 0;
const firstPauseMs = 200;
const longestPauseMs = 10_000;
/** A child that served so long has not failed at its start. */
const settledMs = 30_000;

export interface Parent {
  /**
   * A successor for the serving child, on the program and the configuration as they now lie there, the address included. Where that fails, the
   * one before goes on.
   */
  replace(): Promise<void>;
  /** Ends the children gracefully; resolves when the last is gone. New connections are refused at once. */
  end(): Promise<void>;
}

/**
 * `command` starts a serving process; it gets the socket as descriptor 3 and takes over from its predecessor by itself. Throws `ConfigFault` when
 * the configuration is wrong or its address cannot be had.
 */
export async function holdSocket(file: string, command: readonly string[], log: Logger): Promise<Parent> {
  const { listen } = await readConfig(file);
  const handedIn = inheritedSocket(process.env, process.pid);
  /** Of the child that serves. */
  let current = handedIn === undefined ? bind(listen, file) : fromSystem(listen, handedIn);
  const children = new Set<ChildProcess>();
  /** A second signal would cut their streams off. */
  const leaving = new WeakSet<ChildProcess>();
  let pauseMs = firstPauseMs;
  let again: NodeJS.Timeout | undefined;
  let ending = false;

  const askToEnd = (child: ChildProcess) => {
    if (leaving.has(child)) return;
    leaving.add(child);
    child.kill("SIGTERM");
  };

  const start = (socket: Socket) => {
    const startedAt = performance.now();
    const [program, ...args] = command as [string, ...string[]];
    const child = spawn(program, args, {
      stdio: ["ignore", "inherit", "inherit", socket.fd, "ipc"],
      env: { ...process.env, LISTEN_FDS: "1", LISTEN_PID: "0" },
    });
    const older = [...children];
    children.add(child);
    child.once("error", (error) => log.error({ reason: error.message }, "the serving process cannot be started"));
    // It serves: only now are those before it asked to end, which they do when their last answer is through.
    child.once("message", () => {
      if (leaving.has(child)) return;
      log.info({ pid: child.pid, listen: socket.listen }, "serving");
      for (const one of older) askToEnd(one);
      if (socket !== current) current.close();
      current = socket;
    });
    child.once("close", (code, signal) => {
      children.delete(child);
      if (ending || leaving.has(child)) return;
      if (socket !== current) socket.close();
      if ([...children].some((one) => !leaving.has(one))) {
        log.error({ code, signal }, "a process ended by itself; the other one goes on");
        return;
      }
      if (performance.now() - startedAt > settledMs) pauseMs = firstPauseMs;
      log.error({ code, signal, againMs: pauseMs }, "the serving process ended by itself and is started again");
      again = setTimeout(() => start(current), pauseMs);
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    });
  };
  start(current);

  return {
    replace: async () => {
      try {
        const wanted = (await readConfig(file)).listen;
        if (ending) return;
        const elsewhere = wanted.host !== current.listen.host || wanted.port !== current.listen.port;
        const socket = elsewhere ? bind(wanted, file) : current;
        clearTimeout(again);
        log.info("replacing the serving process");
        start(socket);
      } catch (error) {
        log.error({ reason: (error as Error).message }, "nothing is replaced; the serving process goes on");
      }
    },
    end: async () => {
      ending = true;
      clearTimeout(again);
      current.close();
      const gone = [...children].map((child) => new Promise((resolve) => child.once("close", resolve)));
      for (const child of children) askToEnd(child);
      await Promise.all(gone);
    },
  };
}

function bind(listen: Listen, file: string): Socket {
  const make = (net as unknown as { readonly _createServerHandle: MakeBound })._createServerHandle;
  const address = listen.host === "localhost" ? "127.0.0.1" : listen.host;
  const bound = make(address, listen.port, net.isIPv6(address) ? 6 : 4, -1, flags);
  // libuv keeps a taken port to itself until it is asked. A child would listen on such a socket all the same, on any port.
  const code = typeof bound === "number" ? bound : bound.getsockname({});
  if (typeof bound !== "number" && code === 0) return { listen, fd: bound.fd, close: () => bound.close() };
  if (typeof bound !== "number") bound.close();
  throw new ConfigFault(
    `${file}: listen: cannot bind ${listen.host}:${listen.port} (${getSystemErrorName(code)}); stop what is there, or choose another address`,
  );
}

/** From a service manager. */
function fromSystem(listen: Listen, fd: number): Socket {
  let open = true;
  const close = () => {
    if (open) closeSync(fd);
    open = false;
  };
  return { listen, fd, close };
}
