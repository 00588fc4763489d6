/** What the supervisor does next: pure, so that it can be proved to converge and never to load twice. */
import { modelOfInstance } from "../../infra/spec/model-names.ts";
import type { Engine, LoadedInstance, LoadRequest } from "../lmstudio/lms.ts";
import { type Failed, givenUp } from "./quarantine.ts";

export interface DesiredModel extends LoadRequest {
  /** What lies behind `exactPath`. */
  readonly file: string;
  /** Changes whenever an instance loaded before would no longer be the declared one. */
  readonly digest: string;
}

export interface Desired {
  /** Null while LM Studio is not declared: then nothing is touched. */
  readonly lmstudio: { readonly backendPort: number; readonly engine: Engine | null; readonly digest: string } | null;
  /** In the order in which they load. */
  readonly models: readonly DesiredModel[];
}

export interface World {
  readonly daemonPid: number | null;
  /** Another program started the daemon, outside of our control group; `idle`: it works for nobody now. A busy one is left until it is idle. */
  readonly foreign: "idle" | "busy" | null;
  /** Daemons of this home beside that one, or that no longer answer. */
  readonly strays: readonly number[];
  readonly server: {
    /** Greets on the declared port. */
    readonly greeting: boolean;
    /** Every address that something listens on there is loopback. */
    readonly loopback: boolean;
    /** LM Studio's server greets on another port instead. */
    readonly elsewhere: boolean;
    /** It takes connections and has not answered for so long that it is not just busy. */
    readonly hung: boolean;
  };
  /** Null when the server did not tell. */
  readonly instances: readonly LoadedInstance[] | null;
}

export interface Memory {
  /** Digest of what was loaded, by identifier: what we loaded is ours to unload. */
  readonly loaded: Readonly<Record<string, string>>;
  /** Identifiers that were there before lmstack: never unloaded for not being declared. */
  readonly keep: readonly string[];
  /** `name@version` that was proved to be selected in the running daemon. */
  readonly engine: string | null;
  readonly failures: Readonly<Record<string, Failed>>;
  /** Times that the server was stopped because it hung, since it last answered. */
  readonly serverStops: number;
  /** Calls of `lms` in a row that did not end. */
  readonly lmsHung: number;
  /** The instance that answers for a model, where it is not the one of the model's own name. */
  readonly serves: Readonly<Record<string, string>>;
  /** What was loaded last and right, by model: to return to when a change of it fails. */
  readonly good: Readonly<Record<string, DesiredModel>>;
  /** Identifiers of models that are loaded and gave no answer to two probes in a row. */
  readonly silent: readonly string[];
}

export type Action =
  | { readonly do: "start-daemon" }
  | {
      readonly do: "end-daemon";
      readonly pid: number;
      readonly because: string;
      /** It answers, so it is asked. */
      readonly politely: boolean;
    }
  | { readonly do: "select-engine"; readonly engine: Engine }
  | { readonly do: "stop-server"; readonly because: string }
  | { readonly do: "start-server" }
  | {
      readonly do: "unload";
      readonly identifier: string;
      readonly because: string;
      /** Its model is served by another instance now: the requests that it still has end first. */
      readonly drains: boolean;
    }
  /** `once`: there is an earlier one to return to, so a failure is not tried again. */
  | { readonly do: "load"; readonly model: DesiredModel; readonly once: boolean }
  /** In the place of a loaded instance. */
  | { readonly do: "swap"; readonly model: DesiredModel; readonly from: string; readonly because: string };

/** Key of an action's failures. A load that is declared anew is a new action. */
export function keyOf(action: Action): string {
  if (action.do === "load" || action.do === "swap") return loadKey(action.model);
  if (action.do === "unload") return `unload:${action.identifier}`;
  return action.do;
}

export const loadKey = ({ identifier, digest }: DesiredModel): string => `load:${identifier}:${digest}`;

export const servingInstance = (model: string, memory: Memory): string => memory.serves[model] ?? model;

/** What served before, if it is another and its file has not been put out of the way. */
function earlier(model: DesiredModel, memory: Memory): DesiredModel | undefined {
  const good = memory.good[model.identifier];
  if (good === undefined || good.digest === model.digest) return undefined;
  return good.exactPath !== model.exactPath || good.file === model.file ? good : undefined;
}

/** What is to be loaded for a declared model: itself, or what served before once that has failed. */
export function targetOf(model: DesiredModel, memory: Memory): DesiredModel {
  return givenUp(memory.failures[loadKey(model)]) ? (earlier(model, memory) ?? model) : model;
}

/**
 * Dependencies first (daemon, engine, server), then whatever is too much, then what is missing. An action that failed waits for its
 * time; loads of other models go on meanwhile. Models that nobody declared and that we did not load are none of our business.
 */
export function decide(desired: Desired, world: World, memory: Memory, now: number): Action | null {
  const { lmstudio } = desired;
  if (lmstudio === null) return null;
  const due = (action: Action) => (memory.failures[keyOf(action)]?.retryAt ?? 0) <= now;
  const ifDue = (action: Action) => (due(action) ? action : null);

  const tooMuch = daemonToEnd(world, memory);
  if (tooMuch !== null && due(tooMuch)) return tooMuch;
  if (world.daemonPid === null) return ifDue({ do: "start-daemon" });
  if (world.server.hung) return ifDue({ do: "stop-server", because: "it takes connections and does not answer" });
  const engineRight = lmstudio.engine === null || memory.engine === engineId(lmstudio.engine);
  if (lmstudio.engine !== null && !engineRight) {
    const select: Action = { do: "select-engine", engine: lmstudio.engine };
    if (due(select)) return select;
  }
  if (world.server.elsewhere || (world.server.greeting && !world.server.loopback))
    return ifDue({ do: "stop-server", because: "it listens on another port or address than declared" });
  if (!world.server.greeting) return ifDue({ do: "start-server" });
  if (world.instances === null) return null;

  const surplus = world.instances.flatMap((instance) => surplusUnload(instance, desired, memory));
  const unload = surplus.find(due);
  if (unload !== undefined) return unload;
  if (!engineRight) return null;
  for (const declared of desired.models) {
    const model = targetOf(declared, memory);
    const there = world.instances.filter((one) => modelOfInstance(one.identifier) === model.identifier);
    const [instance] = there;
    if (instance === undefined) {
      const load: Action = { do: "load", model, once: earlier(model, memory) !== undefined };
      if (due(load)) return load;
      continue;
    }
    const silent = memory.silent.includes(model.identifier) ? "it gave no answer to two probes in a row" : null;
    const because = there.length === 1 ? (mismatch(model, instance, memory) ?? silent) : null;
    if (because === null) continue;
    const swap: Action = { do: "swap", model, from: instance.identifier, because };
    if (due(swap)) return swap;
  }
  return null;
}

/**
 * One daemon, the one that answers, in our own control group. A server that hangs costs the daemon only after its own restart did not help;
 * calls of `lms` that hang only while the server is silent too, since otherwise clients are being served.
 */
function daemonToEnd(world: World, memory: Memory): Extract<Action, { do: "end-daemon" }> | null {
  const { daemonPid, foreign, strays, server } = world;
  const end = (pid: number, because: string, politely = false) =>
    ({ do: "end-daemon", pid, because, politely }) as const;
  const [stray] = strays;
  if (stray !== undefined)
    return end(stray, daemonPid === null ? "it does not answer" : `pid ${daemonPid} is LM Studio's daemon already`);
  if (daemonPid === null) return null;
  if (foreign === "idle")
    return end(daemonPid, "another program had started it, outside of the supervisor's control group", true);
  if (server.greeting) return null;
  if (memory.lmsHung >= 2) return end(daemonPid, "calls of `lms` do not end");
  const notByServer = memory.serverStops >= 2 || memory.lmsHung > 0 || memory.failures["stop-server"] !== undefined;
  return server.hung && notByServer ? end(daemonPid, "its server hangs, and stopping that did not help") : null;
}

export function engineId(engine: Engine): string {
  return `${engine.name}@${engine.version}`;
}

/** The unload of an instance that nothing is to take the place of; none when it may stay, or is to be swapped. */
function surplusUnload({ identifier }: LoadedInstance, desired: Desired, memory: Memory) {
  const isDeclared = (name: string) => desired.models.some((model) => model.identifier === modelOfInstance(name));
  const unload = (because: string, drains = false) => [{ do: "unload", identifier, because, drains } as const];
  if (isDeclared(identifier)) {
    const serving = servingInstance(modelOfInstance(identifier), memory);
    return identifier === serving ? [] : unload(`${serving} answers in its place`, true);
  }
  const base = identifier.match(/^(.+):\d+$/)?.[1];
  if (base !== undefined && isDeclared(base)) return unload(`a second instance of ${base}`);
  const ours = memory.loaded[identifier] !== undefined && !memory.keep.includes(identifier);
  return ours ? unload("no longer declared") : [];
}

/** What cannot be seen (null) is taken as right. */
export function mismatch(model: DesiredModel, instance: LoadedInstance, memory: Memory): string | null {
  const { contextLength, parallel, path } = instance;
  if (contextLength !== null && contextLength !== model.contextLength)
    return `context ${contextLength} instead of ${model.contextLength}`;
  if (parallel !== null && parallel !== model.parallel) return `parallel ${parallel} instead of ${model.parallel}`;
  if (path !== null && path !== model.exactPath) return `file ${path} instead of ${model.exactPath}`;
  const loadedAs = memory.loaded[instance.identifier];
  return loadedAs !== undefined && loadedAs !== model.digest ? "declared anew" : null;
}
