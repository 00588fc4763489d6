// The Node.js language host: the engine asks it to run the program. The official one comes only with Pulumi's own
// downloads; this one serves the same calls over the same protocol. The program runs with the `node` that is on PATH,
// as it does officially, so a shell whose Node is too old meets the same refusal in both.

import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import { LanguageRuntimeService } from "@pulumi/pulumi/proto/language_grpc_pb.js";
import type * as Language from "@pulumi/pulumi/proto/language_pb.js";
import language from "@pulumi/pulumi/proto/language_pb.js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import { engineAddress, failure, leaveWithEngine, serve } from "../serve.ts";
import { type Outcome, programArguments, programEnvironment, programOptions, programOutcome } from "./program.ts";

const VERSION = "3.259.0";
/** How long a program may take to end after an interrupt before it is killed. */
const INTERRUPT_GRACE_MS = 5_000;

let engine = engineAddress(process.argv.slice(2));
const programs = new Set<ChildProcess>();

function interrupt(program: ChildProcess): void {
  program.kill("SIGINT");
  setTimeout(() => program.kill("SIGKILL"), INTERRUPT_GRACE_MS).unref();
}

function sdkRunModule(programDirectory: string): string {
  try {
    return createRequire(join(programDirectory, "package.json")).resolve("@pulumi/pulumi/cmd/run");
  } catch {
    throw new Error(
      `@pulumi/pulumi is not installed for the program in ${programDirectory}. Run \`npm ci\` there, then try again.`,
    );
  }
}

function runProgram(request: Language.RunRequest): Promise<Outcome> {
  const info = request.getInfo();
  if (info === undefined) throw new Error("the engine sent no program to run");
  if (engine === undefined) throw new Error("the engine sent no address: call Handshake before Run");
  const options = programOptions((info.getOptions()?.toJavaScript() ?? {}) as Record<string, unknown>);
  const config: Record<string, string> = {};
  request.getConfigMap().forEach((value: string, key: string) => {
    config[key] = value;
  });
  const argv = programArguments(
    {
      monitor: request.getMonitorAddress(),
      engine,
      organization: request.getOrganization(),
      project: request.getProject(),
      rootDirectory: info.getRootDirectory(),
      programDirectory: info.getProgramDirectory(),
      stack: request.getStack(),
      dryRun: request.getDryrun(),
      parallel: request.getParallel(),
      entryPoint: info.getEntryPoint(),
      programArguments: request.getArgsList(),
    },
    options,
    sdkRunModule(info.getProgramDirectory()),
  );
  return new Promise((resolve) => {
    const program = spawn("node", argv, {
      env: { ...process.env, ...programEnvironment(options, config, request.getConfigsecretkeysList()) },
      stdio: ["ignore", "inherit", "inherit"],
    });
    programs.add(program);
    program.once("error", (error) => {
      programs.delete(program);
      resolve({ error: `could not start node: ${error.message}` });
    });
    program.once("exit", (code, signal) => {
      programs.delete(program);
      resolve(programOutcome(code, signal));
    });
  });
}

function runResponse(outcome: Outcome): Language.RunResponse {
  const response = new language.RunResponse();
  if ("bail" in outcome) response.setBail(true);
  if ("error" in outcome) response.setError(outcome.error);
  return response;
}

type Call<Request> = ServerUnaryCall<Request, unknown>;
type Reply<Response> = sendUnaryData<Response>;

await serve(LanguageRuntimeService, {
  handshake(call: Call<Language.LanguageHandshakeRequest>, reply: Reply<Language.LanguageHandshakeResponse>) {
    engine = call.request.getEngineAddress() || engine;
    reply(null, new language.LanguageHandshakeResponse());
  },
  // Which plugins a program needs is asked so that they can be downloaded; where this host is used, they lie there.
  getRequiredPlugins(_: unknown, reply: Reply<Language.GetRequiredPluginsResponse>) {
    reply(null, new language.GetRequiredPluginsResponse());
  },
  getRequiredPackages(_: unknown, reply: Reply<Language.GetRequiredPackagesResponse>) {
    reply(null, new language.GetRequiredPackagesResponse());
  },
  getPluginInfo(_: unknown, reply: Reply<InstanceType<typeof plugin.PluginInfo>>) {
    reply(null, new plugin.PluginInfo().setVersion(VERSION));
  },
  about(_: unknown, reply: Reply<Language.AboutResponse>) {
    reply(null, new language.AboutResponse().setExecutable(process.execPath).setVersion(process.version));
  },
  getProgramDependencies(_: unknown, reply: Reply<Language.GetProgramDependenciesResponse>) {
    reply(null, new language.GetProgramDependenciesResponse());
  },
  run(call: Call<Language.RunRequest>, reply: Reply<Language.RunResponse>) {
    call.on("cancelled", () => programs.forEach(interrupt));
    Promise.resolve()
      .then(() => runProgram(call.request))
      .then(
        (outcome) => reply(null, runResponse(outcome)),
        (error) => reply(null, runResponse({ error: failure(error).details })),
      );
  },
  cancel(_: unknown, reply: Reply<InstanceType<typeof empty.Empty>>) {
    programs.forEach(interrupt);
    reply(null, new empty.Empty());
  },
});
if (engine !== undefined) leaveWithEngine(engine, () => programs.size);
