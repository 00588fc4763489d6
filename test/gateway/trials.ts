/** What the gateway has to keep while hosts come and go, played once: the short tests expect it, the long run counts it. */
import { ask, hostOf, openStream } from "./client.ts";
import { GatewayPlace } from "./place.ts";
import { StandInHost } from "./stand-in-host.ts";

export const sessions = (count: number): string[] => Array.from({ length: count }, (_, index) => `session-${index}`);

export async function openHosts(
  open: AsyncDisposableStack,
  ...models: readonly (readonly string[])[]
): Promise<StandInHost[]> {
  const made: StandInHost[] = [];
  for (const [index, ids] of models.entries()) made.push(open.use(await StandInHost.open(`box${index + 1}`, ids)));
  return made;
}

export const declared = (hosts: readonly StandInHost[]) => hosts.map((host) => ({ host, models: [...host.loaded] }));

export interface Killed {
  /** Streams of the host that died, and of the others. */
  readonly own: number;
  readonly others: number;
  /** Of its own that did not end with an error of their dialect, and of the others that did not end well. */
  readonly untold: number;
  readonly cut: number;
  /** Requests of the first moment after it that failed or came to the dead host, and how long the slowest took. */
  readonly lost: number;
  readonly slowestMs: number;
}

export async function killUnderStreams(count: number): Promise<Killed> {
  await using open = new AsyncDisposableStack();
  const hosts = await openHosts(open, ["coder"], ["coder"], ["coder"]);
  const { url } = open.use(await GatewayPlace.open(declared(hosts)));
  const streams = await Promise.all(sessions(count).map((session) => openStream(url, session)));
  const victim = hosts.toSorted((a, b) => b.running - a.running)[0] as StandInHost;
  const ending = Promise.all(streams.map(async ({ host, end }) => ({ host, end: await end })));
  await victim.die();
  const began = performance.now();
  const asking = sessions(count).map(async (session) => {
    const reply = await ask(url, { session });
    const lost = reply.status !== 200 || hostOf(reply) === victim.name;
    return { lost, ms: performance.now() - began };
  });
  const asked = await Promise.all(asking);
  for (const host of hosts) if (host !== victim) host.finish();
  const ended = await ending;
  const [own, others] = [
    ended.filter(({ host }) => host === victim.name),
    ended.filter(({ host }) => host !== victim.name),
  ];
  return {
    ...{ own: own.length, others: others.length },
    untold: own.filter(({ end }) => end !== "told").length,
    cut: others.filter(({ end }) => end !== "well").length,
    lost: asked.filter(({ lost }) => lost).length,
    slowestMs: Math.max(...asked.map(({ ms }) => ms)),
  };
}

/** Turns that found the host of the turn before, and that did not although it was there. */
export async function turnsWhileHostsComeAndGo(
  count: number,
): Promise<{ readonly kept: number; readonly moved: number }> {
  await using open = new AsyncDisposableStack();
  const hosts = await openHosts(open, ["coder"], ["coder"], ["coder"], ["coder"]);
  const [first, second, third] = hosts as [StandInHost, StandInHost, StandInHost];
  const place = open.use(await GatewayPlace.open(declared([first, second, third])));
  const homes = new Map<string, string>();
  const found = { kept: 0, moved: 0 };
  const turns = async (away: readonly string[] = []) => {
    for (const [index, session] of sessions(count).entries()) {
      const home = homes.get(session);
      // Codex sends the header; other clients have the field in the body alone.
      const named = index % 2 === 0 ? { session } : { more: { input: [], prompt_cache_key: session } };
      const host = hostOf(await ask(place.url, named));
      if (home !== undefined && !away.includes(home)) found[home === host ? "kept" : "moved"]++;
      homes.set(session, host);
    }
  };
  await turns();
  await place.runtime.drain("box1", 5);
  await turns(["box1"]);
  await place.runtime.undrain("box1");
  await turns();
  await second.die();
  await turns(["box2"]);
  await second.revive();
  await place.settled();
  await turns();
  await place.remembers();
  await place.reload(declared(hosts));
  await place.settled();
  await turns();
  await place.reload(declared([first, second, third]));
  await place.settled();
  await turns(["box4"]);
  return found;
}
