/**
 * A parent that holds the listening socket, for services without a container: the socket outlives each serving process, so that replacing one
 * refuses nobody, on systems whose SO_REUSEPORT does not balance too. It never accepts; the child does, on the inherited descriptor.
 */
import { type ChildProcess, spawn } from "node:child_process";
import net from "node:net";
import type { Logger } from "pino";
import { ConfigFault, readConfig } from "../config.ts";

/** libuv's handle of a bound TCP socket. Node exports its maker for its own cluster module, under a name with an underscore. */
interface Bound {
  readonly fd: number;
  close(): void;
}
type MakeBound = (address: string, port: number, family: 4 | 6, fd: number, flags: number) => Bound | number;

const firstPauseMs = 200;
const longestPauseMs = 10_000;
/** A child that served so long has not failed at its start. */
const settledMs = 30_000;

export interface Parent {
  /** A successor for the serving child, on the program and the configuration as they now lie there. */
  replace(): void;
  /** Ends the children gracefully; resolves when the last is gone. */
  end(): Promise<void>;
}

/**
 * `command` starts a serving process; it gets the socket as descriptor 3 and takes over from its predecessor by itself. Throws `ConfigFault` when
 * the address cannot be had.
 */
export async function holdSocket(file: string, command: readonly string[], log: Logger): Promise<Parent> {
  const { listen } = await readConfig(file);
  const socket = bind(listen.host, listen.port, file);
  const [program, ...args] = command as [string, ...string[]];
  const children = new Set<ChildProcess>();
  let current: ChildProcess | undefined;
  let pauseMs = firstPauseMs;
  let again: NodeJS.Timeout | undefined;
  let ending = false;

  const start = () => {
    again = undefined;
    const predecessor = current;
    const startedAt = performance.now();
    const child = spawn(program, args, {
      stdio: ["ignore", "inherit", "inherit", socket.fd, "ipc"],
      env: { ...process.env, LISTEN_FDS: "1", LISTEN_PID: "0" },
    });
    children.add(child);
    current = child;
    child.once("error", (error) => log.error({ reason: error.message }, "the serving process cannot be started"));
    // It serves: only now is the one before it asked to end, which it does when its last answer is through.
    child.once("message", () => {
      log.info({ pid: child.pid }, "serving");
      predecessor?.kill("SIGTERM");
    });
    child.once("close", (code, signal) => {
      children.delete(child);
      if (child !== current || ending) return;
      current = predecessor !== undefined && children.has(predecessor) ? predecessor : undefined;
      if (performance.now() - startedAt > settledMs) pauseMs = firstPauseMs;
      log.error({ code, signal, againMs: pauseMs }, "the serving process ended by itself and is started again");
      again = setTimeout(start, pauseMs);
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    });
  };
  start();

  return {
    replace: () => {
      if (ending || again !== undefined) return;
      log.info("replacing the serving process");
      start();
    },
    end: async () => {
      ending = true;
      clearTimeout(again);
      await Promise.all(
        [...children].map((child) => {
          const gone = new Promise((resolve) => child.once("close", resolve));
          child.kill("SIGTERM");
          return gone;
        }),
      );
      socket.close();
    },
  };
}

function bind(host: string, port: number, file: string): Bound {
  const make = (net as unknown as { readonly _createServerHandle: MakeBound })._createServerHandle;
  const address = host === "localhost" ? "127.0.0.1" : host;
  const bound = make(address, port, net.isIPv6(address) ? 6 : 4, -1, 0);
  if (typeof bound !== "number") return bound;
  throw new ConfigFault(
    `${file}: listen: cannot bind ${host}:${port} (system error ${-bound}); stop what is there, or choose another address`,
  );
}
