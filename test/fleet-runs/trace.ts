/** What hosts and Pulumi wrote down of changes: asked before and after, it tells who was touched, whatever a job says of itself. */
import { execa } from "execa";
import { z } from "zod";
import { overlapping } from "../e2e/interruption.ts";
import type { TestHost } from "../hosts/host.ts";

/** As `pulumi stack history --json` prints it, newest first. */
const history = z.array(
  z.looseObject({ version: z.int(), startTime: z.iso.datetime(), endTime: z.iso.datetime(), result: z.string() }),
);
export type Update = z.output<typeof history>[number];

export interface Trace {
  readonly host: string;
  /** Of the stack, oldest first. */
  readonly updates: readonly Update[];
  /** hostctl's lines, two for each change that it made. */
  readonly changes: string;
  /** Supervisor, proxy and LM Studio. */
  readonly processes: string;
}

interface Project {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

const running = String.raw`ps -eo pid=,args= | grep -E '/\.lmstack/.*(supervise|proxy)|llmster' | grep -v grep`;

export const tracesOf = (hosts: readonly TestHost[], { folder, env }: Project): Promise<Trace[]> =>
  Promise.all(
    hosts.map(async ({ name, exec }) => {
      const words = ["stack", "history", "--json", "--stack", name];
      const [told, changes, processes] = await Promise.all([
        execa("pulumi", words, { cwd: folder, env, extendEnv: false }),
        exec("cat ~/.lmstack/logs/changes.log"),
        exec(running),
      ]);
      const updates = history.parse(JSON.parse(told.stdout)).toReversed();
      return { host: name, updates, changes: changes.stdout, processes: processes.stdout };
    }),
  );

/** @returns what was touched of hosts that should not have been, in words */
export function touched(before: readonly Trace[], after: readonly Trace[], hosts: readonly string[]): string[] {
  return hosts.flatMap((host) => {
    const [was, is] = [before, after].map((traces) => traces.find((one) => one.host === host));
    return [
      ...(was?.updates.length === is?.updates.length ? [] : [`Pulumi updated ${host}`]),
      ...(was?.changes === is?.changes ? [] : [`hostctl changed ${host}`]),
      ...(was?.processes === is?.processes ? [] : [`other processes run on ${host}`]),
    ];
  });
}

/** Updates that each host has had in between. */
export const updatesBetween = (before: readonly Trace[], after: readonly Trace[]): number[] =>
  after.map(({ host, updates }) => updates.length - (before.find((one) => one.host === host)?.updates.length ?? 0));

/** @returns changes of one host that ran at the same time, in words: by Pulumi's history and by the host's own log */
export function overlapsIn(traces: readonly Trace[]): string[] {
  return traces.flatMap(({ host, updates, changes }) => {
    const own = overlapping(changes);
    const begun = updates.slice(1).filter(({ startTime }, index) => startTime < (updates[index] as Update).endTime);
    return [
      ...begun.map(
        ({ version, startTime }) =>
          `update ${version} of ${host} began at ${startTime}, before the one before it had ended`,
      ),
      ...(own === "" ? [] : [`${host}: ${own}`]),
    ];
  });
}
