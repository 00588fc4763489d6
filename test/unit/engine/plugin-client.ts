// The engine's side of a provider plugin: starts the binary, speaks its protocol, collects what it logs. The same
// client drives the stand-in and, with LMSTACK_COMMAND_PLUGIN=/path/to/pulumi-resource-command, the official plugin.

import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { Client, credentials, Server, ServerCredentials } from "@grpc/grpc-js";

const require = createRequire(import.meta.url);
const { EngineService } = require("@pulumi/pulumi/proto/engine_grpc_pb.js");
const { ResourceProviderService } = require("@pulumi/pulumi/proto/provider_grpc_pb.js");
const messages = require("@pulumi/pulumi/proto/provider_pb.js");
const { Empty } = require("google-protobuf/google/protobuf/empty_pb.js");
const { Struct } = require("google-protobuf/google/protobuf/struct_pb.js");

export type Properties = Record<string, unknown>;
export interface LoggedLine {
  readonly urn: string;
  readonly message: string;
  readonly ephemeral: boolean;
}

export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";
export const secret = (value: unknown): Properties => ({ [SIGNATURE]: SECRET, value });
export const isSecret = (value: unknown): boolean =>
  typeof value === "object" && value !== null && (value as Properties)[SIGNATURE] === SECRET;

export interface Created {
  readonly id: string;
  readonly properties: Properties;
}

export interface Diff {
  readonly changes: boolean;
  readonly replaces: string[];
  readonly detailed: Record<string, string>;
}

const KINDS = ["ADD", "ADD_REPLACE", "DELETE", "DELETE_REPLACE", "UPDATE", "UPDATE_REPLACE"];

export class PluginClient implements AsyncDisposable {
  readonly logged: LoggedLine[];
  readonly #child: ChildProcess;
  readonly #client: Client;
  readonly #engine: Server;
  #abandon: () => void = () => {};

  private constructor(child: ChildProcess, client: Client, engine: Server, logged: LoggedLine[]) {
    this.#child = child;
    this.#client = client;
    this.#engine = engine;
    this.logged = logged;
  }

  /** @param command the plugin's binary and what precedes the engine's address in its arguments */
  static async start(
    [binary = "", ...args]: readonly string[],
    options: { cwd: string; env?: Record<string, string> },
  ): Promise<PluginClient> {
    const logged: LoggedLine[] = [];
    const engine = new Server();
    const unanswered = (_: unknown, reply: (error: null, value: unknown) => void): void => reply(null, new Empty());
    engine.addService(EngineService, {
      // biome-ignore lint/suspicious/noExplicitAny: generated messages have no types in this form
      log(call: any, reply: (error: null, value: unknown) => void) {
        const { urn, message, ephemeral } = call.request.toObject();
        logged.push({ urn, message, ephemeral });
        reply(null, new Empty());
      },
      getRootResource: unanswered,
      setRootResource: unanswered,
      startDebugging: unanswered,
      requirePulumiVersion: unanswered,
    });
    const enginePort = await new Promise<number>((resolve, reject) => {
      engine.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
    const child = spawn(binary, [...args, `127.0.0.1:${enginePort}`], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const port = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).once("line", resolve);
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`${binary} ended with ${code} before it printed its port`)));
    });
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
    });
    const plugin = new PluginClient(child, client, engine, logged);
    const configure = new messages.ConfigureRequest();
    configure.setArgs(Struct.fromJavaScript({}));
    configure.setAcceptsecrets(true);
    configure.setSendsOldInputs(true);
    configure.setSendsOldInputsToDelete(true);
    await plugin.#call("configure", configure);
    return plugin;
  }

  // biome-ignore lint/suspicious/noExplicitAny: generated messages have no types in this form
  #call(method: string, request: unknown): Promise<any> {
    const { path, requestSerialize, responseDeserialize } = ResourceProviderService[method];
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        (error, response) => (error ? reject(new Error(error.details)) : resolve(response)),
      );
      this.#abandon = () => call.cancel();
    });
  }

  /** Breaks off the call that was made last, as the death of the engine does. */
  abandon(): void {
    this.#abandon();
  }

  urn(name: string): string {
    return `urn:pulumi:test::engine::command:local:Command::${name}`;
  }

  async check(inputs: Properties): Promise<{ inputs: Properties; failures: { property: string; reason: string }[] }> {
    const request = new messages.CheckRequest();
    request.setUrn(this.urn("command"));
    request.setNews(Struct.fromJavaScript(inputs));
    const response = await this.#call("check", request);
    return {
      inputs: response.getInputs()?.toJavaScript() ?? {},
      failures: response.toObject().failuresList,
    };
  }

  async diff(oldInputs: Properties, state: Properties, news: Properties): Promise<Diff> {
    const request = new messages.DiffRequest();
    request.setId("id");
    request.setUrn(this.urn("command"));
    request.setOlds(Struct.fromJavaScript(state));
    request.setOldInputs(Struct.fromJavaScript(oldInputs));
    request.setNews(Struct.fromJavaScript(news));
    const response = await this.#call("diff", request);
    const detailed: Record<string, string> = {};
    response.getDetaileddiffMap().forEach((value: { getKind(): number }, key: string) => {
      detailed[key] = KINDS[value.getKind()] ?? "?";
    });
    return { changes: response.getChanges() === 2, replaces: response.getReplacesList(), detailed };
  }

  async create(
    inputs: Properties,
    options: { preview?: boolean; name?: string; timeout?: number } = {},
  ): Promise<Created> {
    const request = new messages.CreateRequest();
    request.setUrn(this.urn(options.name ?? "command"));
    request.setName(options.name ?? "command");
    request.setType("command:local:Command");
    request.setProperties(Struct.fromJavaScript(inputs));
    request.setPreview(options.preview ?? false);
    request.setTimeout(options.timeout ?? 0);
    const response = await this.#call("create", request);
    return { id: response.getId(), properties: response.getProperties().toJavaScript() };
  }

  async update(state: Properties, oldInputs: Properties, news: Properties, preview = false): Promise<Properties> {
    const request = new messages.UpdateRequest();
    request.setId("id");
    request.setUrn(this.urn("command"));
    request.setOlds(Struct.fromJavaScript(state));
    request.setOldInputs(Struct.fromJavaScript(oldInputs));
    request.setNews(Struct.fromJavaScript(news));
    request.setPreview(preview);
    const response = await this.#call("update", request);
    return response.getProperties().toJavaScript();
  }

  async read(state: Properties, inputs: Properties): Promise<Properties> {
    const request = new messages.ReadRequest();
    request.setId("id");
    request.setUrn(this.urn("command"));
    request.setProperties(Struct.fromJavaScript(state));
    request.setInputs(Struct.fromJavaScript(inputs));
    return (await this.#call("read", request)).getProperties().toJavaScript();
  }

  async delete(state: Properties, oldInputs: Properties): Promise<void> {
    const request = new messages.DeleteRequest();
    request.setId("id");
    request.setUrn(this.urn("command"));
    request.setProperties(Struct.fromJavaScript(state));
    request.setOldInputs(Struct.fromJavaScript(oldInputs));
    await this.#call("delete", request);
  }

  async cancel(): Promise<void> {
    await this.#call("cancel", new Empty());
  }

  async pluginVersion(): Promise<string> {
    return (await this.#call("getPluginInfo", new Empty())).getVersion();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL");
      await gone;
    }
    this.#engine.forceShutdown();
  }
}
