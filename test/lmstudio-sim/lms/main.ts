/** The `lms` command line: options and arguments here, each command's conduct in its own file. */
import { setTimeout as delay } from "node:timers/promises";
import { Command, InvalidArgumentError } from "commander";
import { findLmstudioHome } from "../daemon/home.ts";
import { readTraps } from "../traps.ts";
import { Fault, print, say } from "./console.ts";
import { daemonDown, daemonStatus, daemonUp, daemonUpdate } from "./daemon.ts";
import { getModel } from "./get.ts";
import { importModel } from "./import.ts";
import { ls, ps } from "./list.ts";
import { load, unload } from "./load.ts";
import { logStream } from "./log.ts";
import { runtimeGet, runtimeLs, runtimeRemove, runtimeSelect, runtimeSurvey, runtimeUpdate } from "./runtime.ts";
import { serverStart, serverStatus, serverStop } from "./server.ts";
import { addToPath } from "./shell-path.ts";

const commit = "07b7252";
const home = findLmstudioHome();

const whole =
  (least: number, most = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`Expected a whole number from ${least}.`);
    return value;
  };

function gpuShare(text: string): string {
  if (text === "off" || text === "max" || (text !== "" && Number(text) >= 0 && Number(text) <= 1)) return text;
  throw new InvalidArgumentError('Expected "off", "max" or a number from 0 to 1.');
}

const lms = new Command("lms").option("--version").action((options: { version?: boolean }) => {
  if (options.version === true) print(`CLI commit: ${commit}`);
  else lms.outputHelp();
});

/** Options that most commands take and few people know. */
function command(parent: Command, usage: string, options: { hidden?: boolean } = {}): Command {
  return parent.command(usage, options).option("--log-level <level>").option("--quiet").option("--verbose");
}

/** One that speaks to a daemon, which may be another host's. */
function clientCommand(parent: Command, usage: string): Command {
  return command(parent, usage)
    .option("--host <host>")
    .option("--port <port>")
    .hook("preAction", (_, called) => {
      const { host } = called.opts<{ host?: string }>();
      if (host?.includes("://")) throw new Fault("Host should not include the protocol.");
      if (host !== undefined) throw new Fault(`Failed to connect to ${host}: the stand-in is on this machine only.`);
    });
}

command(lms, "version", { hidden: true })
  .option("--json")
  .action((options: { json?: boolean }) =>
    print(
      options.json === true
        ? JSON.stringify({ version: commit })
        : `lms is LM Studio's CLI utility.\nCLI commit: ${commit}`,
    ),
  );
command(lms, "bootstrap", { hidden: true })
  .option("-y, --yes")
  .action(() => addToPath(home));

const daemon = lms.command("daemon", { hidden: true });
command(daemon, "up")
  .option("--json")
  .action((options) => daemonUp(home, options));
command(daemon, "status")
  .option("--json")
  .action((options) => daemonStatus(home, options));
command(daemon, "down").action(() => daemonDown(home));
command(daemon, "update")
  .option("--beta")
  .option("--channel <channel>")
  .action(() => daemonUpdate(home));

const server = lms.command("server");
command(server, "start")
  .option("-p, --port <port>", "", whole(0, 65535))
  .option("--bind <address>")
  .option("--cors")
  .action((options) => serverStart(home, options));
command(server, "stop").action(() => serverStop(home));
command(server, "status")
  .option("--json")
  .action((options) => serverStatus(home, options));

clientCommand(lms, "ls [modelKey]")
  .option("--llm")
  .option("--embedding")
  .option("--variants")
  .option("--json")
  .action((modelKey, options) => ls(home, modelKey, options));
clientCommand(lms, "ps")
  .option("--json")
  .action((options) => ps(home, options));

clientCommand(lms, "load [modelKey]")
  .option("--gpu <share>", "", gpuShare)
  .option("-c, --context-length <tokens>", "", whole(1))
  .option("--parallel <slots>", "", whole(1))
  .option("--ttl <seconds>", "", whole(1))
  .option("--identifier <name>")
  .option("--estimate-only")
  .option("-y, --yes")
  .option("--exact")
  .option("--local")
  .option("--speculative-draft-mtp")
  .option("--no-speculative-draft-mtp")
  .option("--speculative-draft-simple")
  .option("--speculative-draft-model <model>")
  .option("--speculative-draft-max-tokens <count>", "", whole(0))
  .option("--speculative-draft-min-tokens <count>", "", whole(0))
  .option("--speculative-draft-min-continue-probability <share>")
  .action((modelKey, options) => load(home, modelKey, options));
clientCommand(lms, "unload [identifier]")
  .option("-a, --all")
  .action((identifier, options) => unload(home, identifier, options));

command(lms, "import <file>")
  .option("-y, --yes")
  .option("--user-repo <repo>")
  .option("-c, --copy")
  .option("-L, --hard-link")
  .option("-l, --symbolic-link")
  .option("--dry-run")
  .action((file, options) => importModel(home, file, options));

clientCommand(lms, "get [name]")
  .option("--mlx")
  .option("--gguf")
  .option("-y, --yes")
  .option("--select")
  .action((name) => getModel(home, name));

const runtime = lms.command("runtime");
clientCommand(runtime, "ls").action(() => runtimeLs(home));
clientCommand(runtime, "get [query]")
  .option("-l, --list")
  .option("--allow-incompatible")
  .option("--channel <channel>")
  .option("-y, --yes")
  .action((query, options) => runtimeGet(home, query, options));
clientCommand(runtime, "select [name]")
  .option("--latest")
  .action((name, options) => runtimeSelect(home, name, options));
clientCommand(runtime, "remove <name>")
  .option("-y, --yes")
  .option("--dry-run")
  .action((name, options) => runtimeRemove(home, name, options));
clientCommand(runtime, "update [query]")
  .option("-a, --all")
  .option("-y, --yes")
  .option("--dry-run")
  .option("--channel <channel>")
  .action((_query, options) => runtimeUpdate(home, options));
clientCommand(runtime, "survey")
  .option("--json")
  .option("--refresh")
  .action((options) => runtimeSurvey(home, options));

const log = lms.command("log");
clientCommand(log, "stream")
  .option("--json")
  .option("--stats")
  .option("-s, --source <source>")
  .option("--filter <kinds>")
  .action((options) => logStream(home, options));

/** The real one starts a runtime of its own, which takes its time before anything happens. */
async function startUp(): Promise<void> {
  const rest = readTraps(home).lmsDelayMs - process.uptime() * 1000;
  if (rest > 0) await delay(rest);
}

await startUp();
try {
  await lms.parseAsync();
} catch (error) {
  say(error instanceof Fault ? `Error: ${error.message}` : String(error instanceof Error ? error.stack : error));
  process.exitCode = 1;
}
