/** Rollouts as lines for people. Pure. */
import { aligned } from "../plan-lines.ts";
import type { Journal, RolloutEntry } from "./journal.ts";
import { isOver } from "./journal.ts";
import type { Held } from "./lease.ts";

export function statusLines(newest: RolloutEntry | undefined, runner: Held | null, held: Journal["held"]): string[] {
  if (newest === undefined) return ["there was no rollout yet"];
  const { hosts, why } = newest;
  const rows = Object.entries(hosts).map(([name, host]) => [
    ...[host.wave === null ? "" : `${host.wave}${host.canary ? " canary" : ""}`, name, host.phase],
    ...[host.seconds === null ? "" : `${Math.round(host.seconds)} s`, host.why?.split("\n")[0] ?? ""],
  ]);
  return [
    headLine(newest),
    ...aligned([["WAVE", "HOST", "STATE", "TOOK", "WHY"], ...rows]),
    ...(why === null ? [] : [why]),
    ...runnerLines(newest, runner),
    ...held.map(({ revision, rollout, why }) => `revision ${revision} is held since rollout ${rollout}: ${why}`),
  ];
}

function runnerLines(newest: RolloutEntry, runner: Held | null): string[] {
  if (newest.state === "failed")
    return ["Next: `npx lmstack fleet rollout --resume` tries once more what could not go back"];
  if (isOver(newest)) return [];
  if (runner === null)
    return [
      "it is paused. Next: `npx lmstack fleet rollout --resume` goes on, `npx lmstack fleet abort` takes it back",
    ];
  return [
    `its runner ${runner.alive ? "is" : "was"} ${runner.words}`,
    ...(runner.alive ? [] : [`Next: ${runner.next}`]),
  ];
}

const headLine = ({ id, kind, state, revision, by, begun }: RolloutEntry): string =>
  `${kind} ${id}${revision === null ? "" : ` of ${revision}`}, by ${by.user} on ${by.machine} at ${begun}: ${state}`;

export function historyLines({ rollouts }: Journal): string[] {
  if (rollouts.length === 0) return ["there was no rollout yet"];
  const rows = rollouts.map(({ id, kind, begun, by, revision, state, hosts, why }) => {
    const all = Object.values(hosts);
    const proved = all.filter(({ phase }) => phase === "proved").length;
    return [
      ...[
        String(id),
        kind,
        begun.slice(0, 19).replace("T", " "),
        `${by.user}@${by.machine}`,
        revision?.slice(0, 12) ?? "",
      ],
      ...[state, `${proved} of ${all.length}`, why?.split("\n")[0] ?? ""],
    ];
  });
  return aligned([["NO", "KIND", "BEGUN (UTC)", "BY", "REVISION", "STATE", "CHANGED", "WHY"], ...rows]);
}
