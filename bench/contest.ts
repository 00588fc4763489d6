/** Peers side by side: the same work for each, in rounds whose order rotates, so that what the machine does meanwhile hits all of them alike. */

import type { RunningPeer } from "./peers/peer.ts";
import type { StandIn } from "./stand-in.ts";
import { cpuMs, residentKb } from "./usage.ts";

/** One that takes part in a row. lmstack may do so twice, in two ways of working. */
export interface Contestant {
  readonly label: string;
  readonly peer: RunningPeer;
  /** Model that its requests name. */
  readonly model: string;
  /** Part of the requests that it gets. */
  readonly share: number;
}

/** What one round gave for one contestant: named numbers, all of them in the units that the table names. */
export interface Sample {
  readonly values: Readonly<Record<string, number>>;
  readonly errors: number;
  readonly firstError: string | undefined;
}

export interface Contest {
  readonly name: string;
  readonly title: string;
  readonly contestants: readonly Contestant[];
  /** `size` is 1 in a round that counts, less in the one that warms up. */
  measure(contestant: Contestant, size: number): Promise<Sample>;
}

export interface ContestResult {
  readonly name: string;
  readonly title: string;
  /** Per label, one sample a round, in the order of the rounds. */
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
  /** Per label, of all rounds: an error is one in the round that warms up too. */
  readonly errors: ReadonlyMap<string, number>;
}

const warmUpSize = 0.5;

export async function runContest(
  contest: Contest,
  rounds: number,
  say: (line: string) => void,
): Promise<ContestResult> {
  const samples = new Map<string, Sample[]>(contest.contestants.map(({ label }) => [label, []]));
  const errors = new Map<string, number>();
  for (let round = 0; round <= rounds; round++) {
    const { contestants } = contest;
    for (let turn = 0; turn < contestants.length; turn++) {
      const contestant = contestants[(round + turn) % contestants.length] as Contestant;
      const sample = await contest.measure(contestant, round === 0 ? warmUpSize : 1);
      errors.set(contestant.label, (errors.get(contestant.label) ?? 0) + sample.errors);
      if (sample.errors > 0)
        say(`${contest.name}: ${contestant.label}: ${sample.errors} errors, first: ${sample.firstError}`);
      // The first round has cold code and cold connections.
      if (round > 0) samples.get(contestant.label)?.push(sample);
    }
    say(`${contest.name}: ${round === 0 ? "warmed up" : `round ${round} of ${rounds}`}`);
  }
  return { name: contest.name, title: contest.title, samples, errors };
}

/** CPU of the peer and of the load side during `work`. */
export async function accounted<T>(peer: RunningPeer, standIn: StandIn, work: () => Promise<T>) {
  const loadSide = () => cpuMs(standIn.pid) + processCpuMs();
  const own = () => (peer.process?.pid === undefined ? 0 : cpuMs(peer.process.pid));
  const before = { load: loadSide(), own: own() };
  const result = await work();
  const peerMs = own() - before.own;
  const memoryMb = peer.process?.pid === undefined ? Number.NaN : residentKb(peer.process.pid) / 1_024;
  return { result, peerMs, loadMs: loadSide() - before.load, memoryMb };
}

function processCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
