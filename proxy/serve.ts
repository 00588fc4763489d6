/** From a configuration file to a serving process, and from a signal to its end. */
import path from "node:path";
import { pino } from "pino";
import { ConfigFault, readConfig } from "./config.ts";
import { writePointer } from "./life/health.ts";
import { startProxy } from "./run.ts";

export async function serve(file: string): Promise<void> {
  const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime });
  const config = await readConfig(file);
  const live = { current: config, problem: undefined, onChange: () => {} };
  const proxy = await startProxy(live, path.dirname(file), log).catch((error: NodeJS.ErrnoException) => {
    const { host, port } = config.listen;
    if (error.code !== "EADDRINUSE" && error.code !== "EACCES" && error.code !== "EADDRNOTAVAIL") throw error;
    throw new ConfigFault(
      `${file}: listen: cannot listen on ${host}:${port} (${error.code}); stop what is there, or choose another address`,
    );
  });
  await writePointer(proxy.adminSocket).catch((error: Error) => {
    log.warn({ reason: error.message }, "the health command will not find this process");
  });
  const startupMs = Math.round(performance.now());
  log.info(
    { address: proxy.address, adminSocket: proxy.adminSocket, upstream: config.upstream, startupMs },
    "listening",
  );
  let signals = 0;
  const end = (signal: NodeJS.Signals) => {
    signals++;
    // A second signal means it: whoever waits at a terminal does not want to wait for a long answer.
    if (signals > 1) process.exit(0);
    log.info({ signal }, "asked to end");
    void proxy.drain().then(() => process.exit(0));
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
}
