import { type Desired, type Memory, mismatch, servingInstance, type World } from "./decide.ts";

export interface Incident {
  readonly resource: string;
  readonly words: string;
}

/**
 * What went wrong by itself or by hand between two looks of one supervisor: it was right with this very digest, and is not now. Each
 * fault is told once, at its root: when the daemon is gone, nothing is said of its models.
 */
export function incidentsBetween(
  before: { desired: Desired; world: World; memory: Memory },
  desired: Desired,
  world: World,
  memory: Memory,
): Incident[] {
  const [was, is] = [before.desired.lmstudio, desired.lmstudio];
  if (was === null || is === null || was.digest !== is.digest) return [];
  if (before.world.daemonPid === null) return [];
  if (world.daemonPid !== before.world.daemonPid) {
    return [{ resource: "lmstudio", words: `the daemon (pid ${before.world.daemonPid}) was gone` }];
  }
  const { server } = world;
  if (before.world.server.greeting && !server.greeting) {
    return [
      {
        resource: "lmstudio",
        words: server.elsewhere ? "the server had moved to another port" : "the server had stopped",
      },
    ];
  }
  if (before.world.server.loopback && server.greeting && !server.loopback) {
    return [{ resource: "lmstudio", words: "the server listened on more than loopback" }];
  }
  const earlier = before.world.instances;
  const now = world.instances;
  if (earlier === null || now === null) return [];
  return desired.models.flatMap((model) => {
    if (!before.desired.models.some((known) => known.identifier === model.identifier && known.digest === model.digest))
      return [];
    const had = earlier.find((one) => one.identifier === servingInstance(model.identifier, before.memory));
    if (had === undefined || mismatch(model, had, before.memory) !== null) return [];
    const has = now.find((one) => one.identifier === servingInstance(model.identifier, memory));
    const words = has === undefined ? "it was not loaded any more (unloaded by hand?)" : mismatch(model, has, memory);
    return words === null ? [] : [{ resource: `model-${model.identifier}`, words }];
  });
}
