/** The verbs of the `lmstack` command: one file a verb, loaded only when it is called. */
import { Argument, Command, Option } from "commander";
import { ciCommand } from "./ci-verbs.ts";
import type { CodexOptions } from "./codex.ts";
import type { CheckOptions } from "./codex-check.ts";
import { exitCodesHelp } from "./fault.ts";
import type { FleetOptions, SyncOptions } from "./fleet.ts";
import type { DrainOptions } from "./fleet-gateway.ts";
import type { PrometheusOptions } from "./fleet-prometheus.ts";
import type { RollbackOptions, RolloutOptions } from "./fleet-rollout.ts";
import type { TopOptions } from "./fleet-top.ts";
import { prepareCommand } from "./host-prepare.ts";
import type { KeysOptions } from "./keys.ts";
import type { Wishes } from "./keys-plan.ts";
import type { LogsOptions } from "./logs.ts";
import { type LogPart, logParts } from "./logs-plan.ts";
import type { AddOptions, ModelOptions } from "./model.ts";
import type { ServeOptions } from "./serve.ts";
import type { UpOptions } from "./up.ts";

export const program: Command = new Command("lmstack")
  .description("an LM Studio endpoint for the Codex CLI on a GPU host")
  .showSuggestionAfterError()
  .addHelpText("afterAll", exitCodesHelp)
  // Thrown, so that a wrong command line ends as every other failure does.
  .exitOverride();

const serveHelp = `
Environment, as the old script had it; what is not set stays as the stack's file has it:
  MODEL_USER=local             folder among LM Studio's models
  MODEL_REPO=<gguf-name>       folder below that
  LMS_IMPORT_MODE=symlink      symlink | hard-link | copy | move
  LMS_BIND=0.0.0.0             public bind address
  LMS_PORT=8080                public port
  LMS_DISABLE_THINKING=1       1 = thinking off, 0 = thinking on
  LMS_BACKEND_PORT=8081        LM Studio's own port, on loopback
  LMS_GPU=max                  max | off | a share from 0 to 1
  LMS_CONTEXT_LENGTH=200000    tokens
  LMS_PARALLEL=2               requests at once
  LMSTUDIO_HOME=~/.lmstudio    in the home of the user that LM Studio belongs to`;

const onStack = (command: Command): Command =>
  command
    .option("--stack <name>", "the stack; the selected one when left out")
    .option("--json", "print one JSON document on standard output, and nothing else there");
const changingStack = (command: Command): Command => onStack(command).option("--yes", "do not ask");

program
  .command("serve")
  .description(
    "the old script's command: writes the stack's file for this model and this machine (or --host), shows it, and runs `pulumi up`",
  )
  .argument("<gguf>", "the model's file, on the machine that serves it")
  .argument("<identifier>", "the name that clients use")
  .option("--host <[user@]host[:port]>", "another machine, by SSH")
  .option("--stack <name>", "the stack; called as the host, or local, when left out")
  .option("--accept-host-key", "pin the host key that is shown, without a question")
  .option("--dry-run", "print the stack's file and a preview; change nothing")
  .option("--yes", "do not ask before a file that is there is changed")
  .option("--json", "print one JSON document on standard output, and nothing else there")
  .addHelpText("after", () => serveHelp)
  .action(async (gguf: string, identifier: string, options: ServeOptions) =>
    (await import("./serve.ts")).serve(gguf, identifier, options),
  );
changingStack(program.command("unload"))
  .description("take a model, or all, out of memory and out of the stack's file, and run `pulumi up`; files stay")
  .argument("[identifier]", "all models when left out")
  .action(async (id: string | undefined, options: ModelOptions) => (await import("./model.ts")).unload(id, options));

onStack(program.command("up"))
  .description("`pulumi up` with the engine that the set-up chose; everything after -- goes to pulumi")
  .argument("[arguments...]", "for pulumi")
  .allowUnknownOption()
  .action(async (args: string[], options: UpOptions) => (await import("./up.ts")).up(args, options));

onStack(program.command("status"))
  .description("what the host runs, what drifted, and what its supervisor did of late")
  .action(async (options: UpOptions) => (await import("./status.ts")).status(options));
onStack(program.command("doctor"))
  .description(
    "looks at everything that the endpoint stands on, from here and on the host, and names what puts it right",
  )
  .action(async (options: UpOptions) => (await import("./doctor.ts")).doctor(options));
onStack(program.command("logs"))
  .description("a log of the host, without prompts: the last 200 lines")
  .addArgument(new Argument("<part>").choices(logParts))
  .option("--follow", "go on as lines come")
  .option("--since <when>", "90s, 10m, 2h, 3d, or a moment such as 2027-01-31T12:00:00Z")
  .action(async (part: LogPart, options: LogsOptions) => (await import("./logs.ts")).logs(part, options));

const model = program.command("model").description("which models a stack declares");
changingStack(model.command("add"))
  .description("write a model into the stack's file; the next `lmstack up` makes it true")
  .argument("<id>", "the name that clients use")
  .argument("<source>", "/path on the host, an address, owner/repo/file.gguf@revision, or owner/repo@revision (MLX)")
  .option("--sha256 <digest>", "of the file; needed for what is downloaded")
  .addOption(new Option("--import <how>").choices(["symlink", "hard-link", "copy", "move"]))
  .option("--publisher <name>", "folder among LM Studio's models; local when left out")
  .option("--repo <name>", "folder below that; from the file's name when left out")
  .option("--gpu <share>", "max, off, or a share from 0 to 1")
  .option("--context <tokens>", "context length")
  .option("--parallel <number>", "requests at once")
  .addOption(new Option("--thinking <how>").choices(["off", "on", "client"]))
  .action(async (id: string, source: string, options: AddOptions) =>
    (await import("./model.ts")).add(id, source, options),
  );
changingStack(model.command("remove"))
  .description("take a model out of the stack's file; the next `lmstack up` makes it true")
  .argument("<id>", "as `lmstack model list` has it")
  .action(async (id: string, options: ModelOptions) => (await import("./model.ts")).remove(id, options));
onStack(model.command("list"))
  .description("models of a stack as declared; `lmstack status` says which are loaded")
  .action(async (options: ModelOptions) => (await import("./model.ts")).list(options));

program.command("host").description("the host itself").addCommand(prepareCommand());

const fleet = program.command("fleet").description("many hosts, described in one file");
const onFleet = (name: string): Command =>
  fleet
    .command(name)
    .option("--file <path>", "the inventory", "fleet.yaml")
    .option("--json", "print one JSON document on standard output, and nothing else there");
onFleet("init")
  .description("make the inventory out of stacks that are there: what hosts share becomes a profile; no stack changes")
  .argument("[stacks...]", "all whose file declares a host when left out")
  .action(async (stacks: string[], options: FleetOptions) => (await import("./fleet-init.ts")).init(stacks, options));
onFleet("check")
  .description("the inventory with all its faults, and the stack files that are not as it says; writes nothing")
  .action(async (options: FleetOptions) => (await import("./fleet.ts")).check(options));
onFleet("sync")
  .description(
    "make each host's stack and write its file, after showing what changes; edits by hand are never lost unasked",
  )
  .option("--overwrite <hosts...>", "hosts whose edits by hand may go")
  .option("--yes", "do not ask")
  .action(async (options: SyncOptions) => (await import("./fleet.ts")).sync(options));
onFleet("plan")
  .description("look at every host, and say in which waves a rollout would change which; touches nothing")
  .action(async (options: FleetOptions) => (await import("./fleet.ts")).plan(options));

onFleet("top")
  .description("what runs and waits on every host, how fast, and what fails, as it goes on; q ends it")
  .option("--once", "look once, for some seconds, and print it; so it is without a terminal, too")
  .action(async (options: TopOptions) => (await import("./fleet-top.ts")).top(options));
onFleet("prometheus")
  .description(
    "write what a Prometheus needs to watch the fleet: targets, keys, rules, and Grafana's dashboards; keys are in files that only you can read",
  )
  .option("--to <folder>", "where to", ".lmstack/prometheus")
  .action(async (options: PrometheusOptions) => (await import("./fleet-prometheus.ts")).prometheus(options));

program.addCommand(ciCommand());

onFleet("rollout")
  .description(
    "bring every host to what the inventory says: a canary first, which is watched, then the others by waves; at the first failure they go back by themselves",
  )
  .option("--revision <name>", "what the inventory comes from, such as a git commit; kept in the history")
  .option("--resume", "go on with the rollout that was paused or whose runner is gone")
  .addHelpText("after", () => "\nWith --json each thing that happens is one document, on a line of its own.")
  .action(async (options: RolloutOptions) => (await import("./fleet-rollout.ts")).rollout(options));
onFleet("rollback")
  .description("a rollout back to what the hosts had when an earlier one was over")
  .option("--to <number>", "of the rollout, as `lmstack fleet history` has it; the one before the last when left out")
  .action(async (options: RollbackOptions) => (await import("./fleet-rollout.ts")).rollback(options));
onFleet("status")
  .description("the last rollout, host by host, and who runs it")
  .action(async (options: FleetOptions) => (await import("./fleet-rollout.ts")).status(options));
onFleet("pause")
  .description("stop the running rollout when its wave is through; `rollout --resume` goes on")
  .action(async (options: FleetOptions) => (await import("./fleet-rollout.ts")).pause(options));
onFleet("abort")
  .description("stop the running rollout when its wave is through, and take back what it has changed")
  .action(async (options: FleetOptions) => (await import("./fleet-rollout.ts")).abort(options));
onFleet("history")
  .description("rollouts with who, what, when and how they ended; the last twenty")
  .action(async (options: FleetOptions) => (await import("./fleet-rollout.ts")).history(options));

const gateway = fleet
  .command("gateway")
  .description("the one endpoint in front of all hosts; `lmstack up` of its stack puts it there");
const onGateway = (name: string): Command =>
  gateway
    .command(name)
    .option("--file <path>", "the inventory", "fleet.yaml")
    .option("--json", "print one JSON document on standard output, and nothing else there");
onGateway("show")
  .description("HAProxy's configuration as the inventory makes it; touches nothing")
  .action(async (options: FleetOptions) => (await import("./fleet-gateway.ts")).show(options));
onGateway("status")
  .description("each host as the gateway sees it: whether it serves, what runs there and what waits for it")
  .action(async (options: FleetOptions) => (await import("./fleet-gateway.ts")).status(options));
onGateway("drain")
  .description("send a host nothing more, and wait until what runs there has ended")
  .argument("<host>", "as the inventory calls it")
  .option("--seconds <number>", "wait no longer", "600")
  .action(async (host: string, options: DrainOptions) => (await import("./fleet-gateway.ts")).drain(host, options));
onGateway("undrain")
  .description("let a host serve again, and wait until the gateway finds that it does")
  .argument("<host>", "as the inventory calls it")
  .action(async (host: string, options: FleetOptions) => (await import("./fleet-gateway.ts")).undrain(host, options));

const codex = program.command("codex").description("the Codex CLI on this machine");
const codexOptions = (command: Command): Command =>
  command
    .option("--profile <name>", "name of the profile; the stack's, or the only installed one, when left out")
    .option("--codex-home <folder>", "where Codex keeps its configuration; $CODEX_HOME or ~/.codex when left out")
    .option("--json", "print JSON on standard output");
const changing = (command: Command): Command =>
  codexOptions(command).option("--dry-run", "only show what would change").option("--yes", "do not ask");
changing(codex.command("install"))
  .description(
    "put a stack's profile, catalog, key and launcher into Codex's folder, after showing what changes; config.toml is never touched",
  )
  .option("--stack <name>", "the stack; the selected one when left out")
  .action(async (options: CodexOptions) => (await import("./codex.ts")).install(options));
changing(codex.command("uninstall"))
  .description("take out what install has put there, and give back what was there before; what you added stays")
  .action(async (options: CodexOptions) => (await import("./codex.ts")).uninstall(options));
codexOptions(codex.command("check"))
  .description("one real turn of Codex through the installed profile, and what is wrong when it fails")
  .option("--timeout <seconds>", "what the turn may take", "180")
  .action(async (options: CheckOptions) => (await import("./codex-check.ts")).check(options));

const keys = program.command("keys").description("who may use a stack's endpoint");
onStack(keys.command("add"))
  .description("make a key, store it as a secret of the stack, and print it once")
  .argument("<name>", "what the key is called in the spec, in logs and in reports")
  .option("--models <ids>", "models that it may use, separated by commas; all when left out")
  .option("--rate <number>", "requests per minute; as many as come when left out")
  .option("--expires <when>", "12h, 30d, 8w, 2027-01-31 or 2027-01-31T12:00:00Z; never when left out")
  .option("--admin", "may also hold and resume models and read reports")
  .action(async (name: string, options: KeysOptions & Wishes) => (await import("./keys.ts")).add(name, options));
onStack(keys.command("list"))
  .description("keys of a stack with what they allow; never their values")
  .action(async (options: KeysOptions) => (await import("./keys.ts")).list(options));
onStack(keys.command("revoke"))
  .description("take a key away from the stack; the next `pulumi up` makes it true on the host")
  .argument("<name>", "as `lmstack keys list` has it")
  .action(async (name: string, options: KeysOptions) => (await import("./keys.ts")).revoke(name, options));
