/**
 * Brings files into the stores of the hosts that lack them, host to host, before anything is changed there. What does not come about here is no failure
 * of a rollout: `up` finds the file in the store, or fetches it from where the spec says.
 */
import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import type { ShareOrder } from "../model/share-session.ts";
import { type Link, type Member, planSpread, type SharedFile } from "./distribution.ts";

/** A host's end of the work; see `ShareSession`. */
export interface Session extends Disposable {
  readonly url: string;
  ask(order: object): Promise<unknown>;
}

export interface SpreadWorld {
  open(host: string, order: ShareOrder): Promise<Session>;
  /** The token that the origin of the model's file wants. */
  credential(host: string, model: string): Promise<string | undefined>;
  tell(host: string, words: string): void;
}

/** Who could not get a file from others, and why. */
export interface Unserved {
  readonly sha256: string;
  readonly host: string;
  readonly why: string;
}

const taken = z.object({ leftOut: z.array(z.object({ peer: z.string(), why: z.string() })) });
/** Whoever failed is planned for again, beside hosts that have got it meanwhile. */
const rounds = 3;

/** @param hostBytesPerSecond most that each host sends to the others */
export async function spreadFiles(
  files: readonly SharedFile[],
  hostBytesPerSecond: number | undefined,
  world: SpreadWorld,
): Promise<Unserved[]> {
  await using spreading = new Spreading(files, hostBytesPerSecond, world);
  const unserved: Unserved[] = [];
  for (const file of files) unserved.push(...(await spreading.bring(file)));
  return unserved;
}

class Spreading implements AsyncDisposable {
  readonly #world: SpreadWorld;
  /** Made for this spreading alone; hosts that share know its digest only. */
  readonly #key = randomBytes(32).toString("base64url");
  readonly #order: ShareOrder;
  readonly #sessions = new Map<string, Promise<Session | null>>();
  readonly #why = new Map<string, string>();

  constructor(files: readonly SharedFile[], bytesPerSecond: number | undefined, world: SpreadWorld) {
    const keySha256 = createHash("sha256").update(this.#key).digest("hex");
    const only = files.map(({ sha256 }) => sha256);
    this.#order = { keySha256, only, ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }) };
    this.#world = world;
  }

  async bring({ sha256, what, members }: SharedFile): Promise<Unserved[]> {
    const lacking = new Set(members.filter(({ has }) => !has).map(({ host }) => host));
    let known = [...members];
    for (let round = 0; round < rounds && lacking.size > 0; round++) {
      known = await this.#reachable(known);
      const plan = planSpread(known);
      const first = await Promise.all(plan.origin.map((host) => this.#fromOrigin(sha256, what, known, host)));
      const have = [...known.filter(({ has }) => has).map(({ host }) => host), ...first.flatMap((host) => host ?? [])];
      // A list that was wrong has served nobody: the next one comes from somebody else.
      const pieces = have.length === 0 ? null : await this.#list(sha256, have[round % have.length] as string);
      const bad = new Set<string>();
      const served =
        pieces === null
          ? []
          : await Promise.all(plan.links.map((link) => this.#fromPeers({ sha256, what, pieces }, known, link, bad)));
      const done = new Set([...first, ...served].filter((host) => host !== null));
      if (done.size === 0 && have.length < 2) break;
      for (const host of done) lacking.delete(host);
      known = known
        .filter(({ host, has }) => !(has && bad.has(host)))
        .map((member) => (done.has(member.host) ? { ...member, has: true } : member))
        // Its origin did not help: next time another one tries.
        .map((member) => (plan.origin.includes(member.host) && !member.has ? { ...member, urls: [] } : member));
    }
    return [...lacking].map((host) => ({ sha256, host, why: this.#why.get(host) ?? "no host of its site has it" }));
  }

  /** Those who take part as planned, each with its share open. */
  async #reachable(members: readonly Member[]): Promise<Member[]> {
    let known = [...members];
    for (;;) {
      const { origin, links } = planSpread(known);
      const names = [...new Set([...origin, ...links.flatMap(({ host, from, spares }) => [host, ...from, ...spares])])];
      const sessions = await Promise.all(names.map((host) => this.#session(host)));
      const away = new Set(names.filter((_, index) => sessions[index] === null));
      if (away.size === 0) return known;
      known = known.filter(({ host }) => !away.has(host));
    }
  }

  #session(host: string): Promise<Session | null> {
    const session = this.#sessions.get(host) ?? this.#world.open(host, this.#order).catch(this.#failed(host));
    this.#sessions.set(host, session);
    return session;
  }

  async #ask(host: string, order: object): Promise<unknown> {
    const session = await this.#session(host);
    if (session === null) throw new Error("it takes no part");
    return await session.ask(order);
  }

  async #fromOrigin(sha256: string, what: string, members: readonly Member[], host: string): Promise<string | null> {
    const { urls, model, bytesPerSecond } = members.find((one) => one.host === host) as Member;
    const credential = await this.#world.credential(host, model).catch(() => undefined);
    const more = { ...(bytesPerSecond && { bytesPerSecond }), ...(credential && { credential }) };
    return await this.#ask(host, { sha256, what, urls, ...more }).then(() => host, this.#failed(host));
  }

  async #fromPeers(
    order: { readonly sha256: string; readonly what: string; readonly pieces: object },
    members: readonly Member[],
    { host, from, spares }: Link,
    bad: Set<string>,
  ): Promise<string | null> {
    const { bytesPerSecond } = members.find((one) => one.host === host) as Member;
    const urls = new Map<string, string>();
    for (const name of [...from, ...spares]) urls.set(name, (await this.#session(name))?.url ?? "");
    const addresses = (names: readonly string[]) => names.map((name) => urls.get(name));
    const more = { spares: addresses(spares), credential: this.#key, ...(bytesPerSecond && { bytesPerSecond }) };
    const asked = { ...order, peers: addresses(from), ...more };
    try {
      const { leftOut } = taken.parse(await this.#ask(host, asked));
      for (const { peer, why } of leftOut) {
        const name = [...urls].find(([, url]) => url === peer)?.[0] ?? peer;
        bad.add(name);
        this.#world.tell(host, `asks ${name} no more: ${why}`);
      }
      return host;
    } catch (error) {
      return this.#failed(host)(error);
    }
  }

  async #list(sha256: string, host: string): Promise<object | null> {
    return (await this.#ask(host, { list: sha256 }).catch(this.#failed(host))) as object | null;
  }

  #failed(host: string): (error: unknown) => null {
    return (error) => {
      const why = error instanceof Error ? error.message : String(error);
      this.#why.set(host, why);
      this.#world.tell(host, `gets nothing from other hosts: ${why}`);
      return null;
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of await Promise.all(this.#sessions.values())) session?.[Symbol.dispose]();
  }
}
