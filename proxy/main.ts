/** Command line of the proxy: `--config FILE` serves, `hold` keeps the socket while serving processes come and go, `health` asks the process of this container whether it is up. */
import { parseArgs } from "node:util";
import { checkHealth } from "./life/health.ts";

const usage = `Usage: proxy --config FILE        serve with this configuration
       proxy hold --config FILE   hold the listening socket and serve in a child process; SIGHUP replaces the child
       proxy health               exit 0 and name the admin socket when the proxy of this container is up
       proxy --help               show this`;

class UsageFault extends Error {
  override readonly name = "UsageFault";
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { config: { type: "string" }, help: { type: "boolean" } },
    allowPositionals: true,
  });
  if (values.help) {
    console.log(usage);
  } else if (positionals.length === 1 && positionals[0] === "health" && values.config === undefined) {
    // So that whoever has several proxies side by side knows which one this is.
    console.log(await checkHealth());
  } else if (positionals.length === 0 && values.config !== undefined) {
    // Loaded only now: the health command runs every few seconds and needs none of it.
    const { serve } = await import("./serve.ts");
    await serve(values.config);
  } else if (positionals.length === 1 && positionals[0] === "hold" && values.config !== undefined) {
    const { hold } = await import("./hold.ts");
    await hold(values.config);
  } else {
    throw new UsageFault(usage);
  }
}

main().catch((error: NodeJS.ErrnoException) => {
  const expected =
    ["UsageFault", "ConfigFault", "HealthFault"].includes(error.name) || error.code?.startsWith("ERR_PARSE_ARGS");
  console.error(expected ? error.message : (error.stack ?? error.message));
  process.exit(error.name === "HealthFault" ? 1 : expected ? 2 : 1);
});
