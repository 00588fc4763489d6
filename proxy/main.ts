/** Command line of the proxy: `--config FILE` serves, `health` asks the process of this container whether it is up. */
import path from "node:path";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { ConfigFault, readConfig } from "./config.ts";
import { checkHealth, writePointer } from "./life/admin-socket.ts";
import { startProxy } from "./run.ts";

const usage = `Usage: proxy --config FILE   serve with this configuration
       proxy health          exit 0 when the proxy of this container is up
       proxy --help          show this`;

async function serve(file: string): Promise<void> {
  const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime });
  const config = await readConfig(file);
  const proxy = await startProxy(config, path.dirname(file), log).catch((error: NodeJS.ErrnoException) => {
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

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { config: { type: "string" }, help: { type: "boolean" } },
    allowPositionals: true,
  });
  if (values.help) {
    console.log(usage);
  } else if (positionals.length === 1 && positionals[0] === "health" && values.config === undefined) {
    await checkHealth();
  } else if (positionals.length === 0 && values.config !== undefined) {
    await serve(values.config);
  } else {
    throw new ConfigFault(usage);
  }
}

main().catch((error: NodeJS.ErrnoException) => {
  const expected = error instanceof ConfigFault || error.code?.startsWith("ERR_PARSE_ARGS");
  console.error(expected ? error.message : (error.stack ?? error.message));
  process.exit(expected ? 2 : 1);
});
