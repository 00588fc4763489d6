/** What the supervisor reports, and how that is judged. */
import type { ErrorCode, ObservedProof } from "../../infra/spec/host-documents.ts";
import { modelOfInstance } from "../../infra/spec/model-names.ts";
import { isAlive } from "../process.ts";
import {
  type Desired,
  type DesiredModel,
  engineId,
  loadKey,
  type Memory,
  mismatch,
  servingInstance,
  type World,
} from "./decide.ts";
import { type Failed, givenUp } from "./quarantine.ts";

export type PartState = "ready" | "working" | "failed";

export interface PartStatus {
  readonly state: PartState;
  readonly digest: string;
  readonly code?: ErrorCode;
  readonly reason?: string;
  readonly hint?: string;
}

export interface SupervisorStatus {
  readonly pid: number;
  readonly at: string;
  /** Pokes that had arrived when this was observed. */
  readonly seen: number;
  readonly daemon: { readonly pid: number | null; readonly startedByUs: boolean };
  readonly engine: { readonly name: string; readonly version: string } | null;
  readonly lmstudio: PartStatus | null;
  readonly models: Readonly<Record<string, PartStatus>>;
  /** By model: what was last proved of the instance that is loaded. */
  readonly proofs: Readonly<Record<string, Pick<ObservedProof, "at" | "depth" | "ok" | "words" | "hint">>>;
  /** Loaded by us and still to be unloaded. */
  readonly surplus: readonly string[];
}

/** These do not go away by themselves, so the first failure is reported; others get a second attempt. */
const definite: readonly ErrorCode[] = [
  "engine_incompatible",
  "port_in_use",
  "gui_owns_daemon",
  "file_missing",
  "out_of_memory",
];

export function judgeLmstudio(desired: Desired, world: World, memory: Memory): PartStatus | null {
  const { lmstudio } = desired;
  if (lmstudio === null) return null;
  const engineRight = lmstudio.engine === null || memory.engine === engineId(lmstudio.engine);
  const right =
    world.daemonPid !== null &&
    world.foreign !== "idle" &&
    engineRight &&
    world.server.greeting &&
    world.server.loopback &&
    !world.server.elsewhere;
  if (right) return { state: "ready", digest: lmstudio.digest };
  const actions = ["end-daemon", "start-daemon", "select-engine", "stop-server", "start-server"];
  return { ...failedState(actions.map((key) => memory.failures[key])), digest: lmstudio.digest };
}

/** Models of instances that are ours and that nobody declares any more. */
export function surplusOf(desired: Desired, world: World, memory: Memory): string[] {
  return (world.instances ?? [])
    .map((instance) => instance.identifier)
    .filter((one) => memory.loaded[one] !== undefined && !memory.keep.includes(one))
    .map(modelOfInstance)
    .filter((one) => !desired.models.some((model) => model.identifier === one));
}

export function judgeModel(model: DesiredModel, world: World, memory: Memory): PartStatus {
  const ofModel = (name: string | undefined) => name !== undefined && modelOfInstance(name) === model.identifier;
  // Also one whose last requests are ending.
  const found = world.instances?.filter((instance) => ofModel(instance.identifier)) ?? [];
  const twin = world.instances?.some((instance) => ofModel(instance.identifier.match(/^(.+):\d+$/)?.[1]));
  const [instance] = found;
  const right =
    found.length === 1 &&
    instance?.identifier === servingInstance(model.identifier, memory) &&
    mismatch(model, instance, memory) === null &&
    !twin &&
    world.server.greeting;
  if (right) return { state: "ready", digest: model.digest };
  return {
    ...failedState([
      memory.failures[loadKey(model)],
      ...found.map(({ identifier }) => memory.failures[`unload:${identifier}`]),
    ]),
    digest: model.digest,
  };
}

function failedState(failures: readonly (Failed | undefined)[]): Omit<PartStatus, "digest"> {
  const worst = failures.find(
    (failed) => failed !== undefined && (failed.count >= 2 || givenUp(failed) || definite.includes(failed.code)),
  );
  if (worst === undefined) return { state: "working" };
  return { state: "failed", code: worst.code, reason: worst.reason, hint: worst.hint };
}

/** Why what is declared is not there, by resource, as the supervisor last said. A report outlives its supervisor, but not its truth. */
export function failingIn(status: SupervisorStatus | null): Record<string, string> {
  if (status === null || !isAlive(status.pid)) return {};
  const { lmstudio, models } = status;
  const parts: [string, PartStatus | null][] = [
    ["lmstudio", lmstudio],
    ...Object.entries(models).map(([id, part]): [string, PartStatus] => [`model-${id}`, part]),
  ];
  return Object.fromEntries(
    parts.flatMap(([name, part]) => (part?.state === "failed" ? [[name, `${part.reason}; ${part.hint}`]] : [])),
  );
}

/** All that is declared is there, and nothing else has to go. */
export function isCalm({
  lmstudio,
  models,
  surplus,
}: Pick<SupervisorStatus, "lmstudio" | "models" | "surplus">): boolean {
  return surplus.length === 0 && [lmstudio, ...Object.values(models)].every((part) => part?.state === "ready");
}

/** One line: what is right and what is not. */
export function statusWords({ lmstudio, models }: Pick<SupervisorStatus, "lmstudio" | "models">): string {
  if (lmstudio === null) return "LM Studio is not declared";
  const parts: [string, PartStatus][] = [["LM Studio", lmstudio], ...Object.entries(models)];
  return parts
    .map(([name, { state, reason }]) => `${name} ${reason === undefined ? state : `${state} (${reason})`}`)
    .join("; ")
    .slice(0, 500);
}
