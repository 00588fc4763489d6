/** What the supervisor does next: pure, so that it can be proved to converge and never to load twice. */
import type { Engine, LoadedInstance, LoadRequest } from "../lmstudio/lms.ts";
import type { Failed } from "./quarantine.ts";

export interface DesiredModel extends LoadRequest {
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
      /** A load of the same name follows. */
      readonly again: boolean;
    }
  | { readonly do: "load"; readonly model: DesiredModel };

/** Key of an action's failures. A load that is declared anew is a new action. */
export function keyOf(action: Action): string {
  if (action.do === "load") return `load:${action.model.identifier}:${action.model.digest}`;
  if (action.do === "unload") return `unload:${action.identifier}`;
  return action.do;
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

  const surplus = world.instances.flatMap((instance) => {
    const because = surplusReason(instance, desired, memory);
    if (because === null) return [];
    const { identifier } = instance;
    const again = desired.models.some((model) => model.identifier === identifier);
    return [{ do: "unload", identifier, because, again } as const];
  });
  const unload = surplus.find(due);
  if (unload !== undefined) return unload;
  if (!engineRight) return null;
  for (const model of desired.models) {
    // An instance of that name is there: right, or waiting for its unload to be tried again.
    if (world.instances.some((instance) => instance.identifier === model.identifier)) continue;
    const load: Action = { do: "load", model };
    if (due(load)) return load;
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

/** Why this instance has to go; null when it may stay. */
function surplusReason(instance: LoadedInstance, desired: Desired, memory: Memory): string | null {
  const declared = desired.models.find((model) => model.identifier === instance.identifier);
  if (declared !== undefined) return mismatch(declared, instance, memory);
  const base = instance.identifier.match(/^(.+):\d+$/)?.[1];
  if (base !== undefined && desired.models.some((model) => model.identifier === base))
    return `a second instance of ${base}`;
  const ours = memory.loaded[instance.identifier] !== undefined && !memory.keep.includes(instance.identifier);
  return ours ? "no longer declared" : null;
}

/** What cannot be seen (null) is taken as right. */
export function mismatch(model: DesiredModel, instance: LoadedInstance, memory: Memory): string | null {
  const { contextLength, parallel, path } = instance;
  if (contextLength !== null && contextLength !== model.contextLength)
    return `context ${contextLength} instead of ${model.contextLength}`;
  if (parallel !== null && parallel !== model.parallel) return `parallel ${parallel} instead of ${model.parallel}`;
  if (path !== null && path !== model.exactPath) return `file ${path} instead of ${model.exactPath}`;
  const loadedAs = memory.loaded[model.identifier];
  return loadedAs !== undefined && loadedAs !== model.digest ? "declared anew" : null;
}
