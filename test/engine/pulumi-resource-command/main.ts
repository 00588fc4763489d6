// A stand-in for the official command plugin, version 1.2.1, where that cannot be downloaded: `command:local:Command`
// with its exact semantics, nothing else. Every semantic is a test that runs on the official plugin as well.

import { randomBytes } from "node:crypto";
import { credentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engineMessages from "@pulumi/pulumi/proto/engine_pb.js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import type * as Provider from "@pulumi/pulumi/proto/provider_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { engineAddress, failure, leaveWithEngine, serve } from "../serve.ts";
import { type Change, changes } from "./diff.ts";
import { checkInputs, readInputs } from "./inputs.ts";
import { newState, previewOfCreate, previewOfUpdate, previousStreams, type Streams } from "./outputs.ts";
import { runCommand } from "./run.ts";
import type { Properties } from "./values.ts";

const VERSION = "1.2.1";
const COMMAND = "command:local:Command";

const address = engineAddress(process.argv.slice(2));
const engine = address === undefined ? undefined : new EngineClient(address, credentials.createInsecure());
const cancelled = new AbortController();
let running = 0;

type Struct = InstanceType<typeof struct.Struct>;
const fromWire = (value: Struct | undefined): Properties => (value?.toJavaScript() ?? {}) as Properties;
const toWire = (properties: Properties): Struct => struct.Struct.fromJavaScript(properties as Record<string, never>);

/**
 * Progress, shown beside the resource while it runs and kept nowhere. Lines are sent one after the other, and a step ends
 * after its last line has arrived; an engine that is gone takes none and holds nothing up.
 */
class StatusLog {
  #sent: Promise<void> = Promise.resolve();
  readonly #urn: string;

  constructor(urn: string) {
    this.#urn = urn;
  }

  readonly write = (line: string): void => {
    const request = new engineMessages.LogRequest();
    request.setSeverity(engineMessages.LogSeverity.INFO).setUrn(this.#urn).setMessage(line).setEphemeral(true);
    this.#sent = this.#sent.then(
      () => new Promise((resolve) => (engine === undefined ? resolve() : engine.log(request, () => resolve()))),
    );
  };

  flushed(): Promise<void> {
    return this.#sent;
  }
}

interface Step {
  readonly urn: string;
  readonly command: string | undefined;
  readonly inputs: Properties;
  readonly previous: Streams;
  /** Seconds; 0 is no limit. */
  readonly timeout: number;
  /** Aborted when the call ends from outside, which is what a killed engine looks like. */
  readonly call: AbortSignal;
}

async function run({ urn, command, inputs, previous, timeout, call }: Step): Promise<Streams> {
  if (command === undefined) return previous;
  if (!urn.includes(`$${COMMAND}::`) && !urn.includes(`::${COMMAND}::`)) {
    throw new Error(`${urn}: this stand-in knows ${COMMAND} only; use the official command plugin`);
  }
  const limits = [cancelled.signal, call, ...(timeout > 0 ? [AbortSignal.timeout(timeout * 1000)] : [])];
  const log = new StatusLog(urn);
  running++;
  try {
    const signal = AbortSignal.any(limits);
    return await runCommand({ command, inputs: readInputs(inputs), previous, log: log.write, signal });
  } finally {
    await log.flushed();
    running--;
  }
}

async function create(request: Provider.CreateRequest, call: AbortSignal): Promise<Provider.CreateResponse> {
  const inputs = fromWire(request.getProperties());
  const urn = request.getUrn();
  const step = { urn, inputs, previous: { stdout: "", stderr: "" }, timeout: request.getTimeout(), call };
  const state = request.getPreview()
    ? previewOfCreate(inputs)
    : newState(inputs, await run({ ...step, command: readInputs(inputs).create }));
  const name = urn.slice(urn.lastIndexOf("::") + 2);
  return new messages.CreateResponse().setId(name + randomBytes(4).toString("hex")).setProperties(toWire(state));
}

async function update(request: Provider.UpdateRequest, call: AbortSignal): Promise<Provider.UpdateResponse> {
  const state = fromWire(request.getOlds());
  const inputs = fromWire(request.getNews());
  const texts = readInputs(inputs);
  const step = { urn: request.getUrn(), inputs, previous: previousStreams(state), timeout: request.getTimeout(), call };
  const next = request.getPreview()
    ? previewOfUpdate(state, inputs)
    : newState(inputs, await run({ ...step, command: texts.update ?? texts.create }));
  return new messages.UpdateResponse().setProperties(toWire(next));
}

/** Everything that a delete needs comes from the state: its text, its stdin, its folder, as they were at the last success. */
async function remove(request: Provider.DeleteRequest, call: AbortSignal): Promise<InstanceType<typeof empty.Empty>> {
  const state = fromWire(request.getProperties());
  const step = {
    urn: request.getUrn(),
    inputs: state,
    previous: previousStreams(state),
    timeout: request.getTimeout(),
    call,
  };
  await run({ ...step, command: readInputs(state).delete });
  return new empty.Empty();
}

function kindOf({ kind, replaces }: Change): Provider.PropertyDiff.Kind {
  const { Kind } = messages.PropertyDiff;
  if (kind === "add") return replaces ? Kind.ADD_REPLACE : Kind.ADD;
  if (kind === "delete") return replaces ? Kind.DELETE_REPLACE : Kind.DELETE;
  return replaces ? Kind.UPDATE_REPLACE : Kind.UPDATE;
}

function diff(request: Provider.DiffRequest): Provider.DiffResponse {
  const before = fromWire(request.getOldInputs() ?? request.getOlds());
  const found = changes(before, fromWire(request.getNews()));
  const response = new messages.DiffResponse();
  response.setChanges(messages.DiffResponse.DiffChanges[found.length > 0 ? "DIFF_SOME" : "DIFF_NONE"]);
  response.setHasdetaileddiff(found.length > 0);
  // The console names whole inputs ("[diff: ~environment]"); the paths inside them are for `--diff`.
  response.setDiffsList([...new Set(found.map(({ path }) => path.replace(/[.[].*$/s, "")))]);
  for (const change of found) {
    response.getDetaileddiffMap().set(change.path, new messages.PropertyDiff().setKind(kindOf(change)));
    if (change.replaces) response.addReplaces(change.path);
  }
  return response;
}

function check(request: Provider.CheckRequest): Provider.CheckResponse {
  const inputs = fromWire(request.getNews());
  const failures = checkInputs(inputs).map(({ property, reason }) =>
    new messages.CheckFailure().setProperty(property).setReason(reason),
  );
  return new messages.CheckResponse().setInputs(toWire(inputs)).setFailuresList(failures);
}

/** There is nothing to read: the state is taken for the truth, so a refresh never finds anything. */
function read(request: Provider.ReadRequest): Provider.ReadResponse {
  const response = new messages.ReadResponse().setId(request.getId());
  return response.setProperties(request.getProperties()).setInputs(request.getInputs());
}

/** One call of the protocol: the answer or the failure of `act`, whether it comes now or later. */
function answer<Request, Response>(act: (request: Request, call: AbortSignal) => Response | Promise<Response>) {
  return (call: ServerUnaryCall<Request, Response>, reply: sendUnaryData<Response>): void => {
    const ended = new AbortController();
    call.once("cancelled", () => ended.abort());
    Promise.resolve()
      .then(() => act(call.request, ended.signal))
      .then(
        (response) => reply(null, response),
        (error) => reply(failure(error)),
      );
  };
}

await serve(ResourceProviderService, {
  handshake: answer(() => new messages.ProviderHandshakeResponse().setAcceptSecrets(true).setAcceptResources(true)),
  getSchema: answer(() => new messages.GetSchemaResponse().setSchema(`{"name":"command","version":"${VERSION}"}`)),
  checkConfig: answer((request: Provider.CheckRequest) => new messages.CheckResponse().setInputs(request.getNews())),
  diffConfig: answer(() => new messages.DiffResponse()),
  configure: answer(() => new messages.ConfigureResponse().setAcceptsecrets(true).setSupportspreview(true)),
  getPluginInfo: answer(() => new plugin.PluginInfo().setVersion(VERSION)),
  check: answer(check),
  diff: answer(diff),
  create: answer(create),
  update: answer(update),
  delete: answer(remove),
  read: answer(read),
  // Ends what runs; whatever is asked afterwards fails at once, because the engine is on its way out.
  cancel: answer(() => {
    cancelled.abort();
    return new empty.Empty();
  }),
});
if (address !== undefined) leaveWithEngine(address, () => running);
