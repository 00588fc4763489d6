/** From a configuration file to a serving process, and from a signal to its end. */
import { isIP } from "node:net";
import path from "node:path";
import { ConfigFault } from "./config.ts";
import { writePointer } from "./life/health.ts";
import { inheritedSocket } from "./life/inherited-socket.ts";
import { Settings } from "./life/settings.ts";
import { startProxy } from "./run.ts";
import { openLog } from "./seeing/open-log.ts";

export async function serve(file: string): Promise<void> {
  const log = openLog();
  const settings = await Settings.open(file, log);
  const { listen, upstream } = settings.current;
  const end = () => process.exit(0);
  const handedIn = inheritedSocket(process.env, process.pid);
  const options = { inheritedSocket: handedIn, onDrained: end };
  const starting = startProxy(settings, path.dirname(file), log, options);
  const drain = () => void starting.then((proxy) => proxy.drain()).then(end, () => {});
  // Before it serves: clients may be accepted a moment before everything else is in place.
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    signals++;
    // A second signal means it: whoever waits at a terminal does not want to wait for a long answer.
    if (signals > 1) end();
    log.info({ signal }, "asked to end");
    drain();
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("SIGHUP", () => void settings.reload());
  const proxy = await starting.catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EADDRINUSE" && error.code !== "EACCES" && error.code !== "EADDRNOTAVAIL") throw error;
    throw new ConfigFault(
      `${file}: listen: cannot listen on ${listen.host}:${listen.port} (${error.code}); stop what is there, or choose another address`,
    );
  });
  await writePointer(proxy.adminSocket).catch((error: Error) => {
    log.warn({ reason: error.message }, "the health command will not find this process");
  });
  const { address, adminSocket } = proxy;
  const elsewhere = address.port !== listen.port || (isIP(listen.host) !== 0 && address.address !== listen.host);
  if (handedIn !== undefined && elsewhere)
    log.warn({ address, listen }, "the socket that was handed in is another than declared");
  log.info({ address, adminSocket, upstream, startupMs: Math.round(performance.now()) }, "listening");
  // To a parent that holds the socket: from here on it may let the predecessor go.
  process.send?.("serving");
  // The parent that holds the socket died: whoever starts another one wants the port.
  process.once("disconnect", () => {
    log.error("the parent process is gone: this process ends too");
    drain();
  });
}
