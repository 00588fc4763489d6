/** Real hosts that a team declares in a repository: what it commits, what its jobs did, and what hosts tell of it. */
import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Ran } from "../fleet-ci/actions.ts";
import { ends, logOf, Team } from "../fleet-ci/team.ts";
import { projectRoot } from "../pulumi/stack.ts";
import type { ModelName } from "./models.ts";
import { openPlace, type Place, type PlaceOptions } from "./place.ts";
import { servedBy } from "./rollout.ts";
import { type Trace, touched, tracesOf, updatesBetween } from "./trace.ts";

/** The job that deploys. */
export const change = "fleet-deploy.yml/change";

export class CiPlace implements AsyncDisposable {
  readonly place: Place;
  readonly team: Team;
  /** Of the hosts. */
  readonly names: readonly string[];
  readonly #held: AsyncDisposableStack;

  private constructor(place: Place, team: Team, held: AsyncDisposableStack) {
    this.place = place;
    this.team = team;
    this.names = place.hosts.map(({ name }) => name);
    this.#held = held;
  }

  /** Whoever deployed the place has put what it is made of into a repository. */
  static async open(name: string, options: PlaceOptions): Promise<CiPlace> {
    await using making = new AsyncDisposableStack();
    const place = making.use(await openPlace(name, options));
    const { PULUMI_BACKEND_URL, PULUMI_CONFIG_PASSPHRASE } = place.fleet.env;
    const team = making.use(
      await Team.open({
        env: { ...process.env, ...place.fleet.env },
        ...{ backend: PULUMI_BACKEND_URL as string, passphrase: PULUMI_CONFIG_PASSPHRASE as string },
        sshKey: await sshKeyOf(place),
      }),
    );
    for (const stack of [...place.hosts.map((host) => host.name), place.gateway]) {
      const file = `Pulumi.${stack}.yaml`;
      await copyFile(join(projectRoot, file), join(team.repository.folder, file));
    }
    await team.repository.write(place.fleetOf(place.hosts.map(() => ({ model: "A" }))));
    await team.repository.lmstack(team.env, "fleet", "sync", "--yes");
    return new CiPlace(place, team, making.move());
  }

  /** @returns the commit */
  async declare(models: readonly ModelName[], words: string): Promise<string> {
    const { repository } = this.team;
    await repository.write(this.place.fleetOf(models.map((model) => ({ model }))));
    return await repository.commit(words);
  }

  traces(): Promise<Trace[]> {
    const { repository, env } = this.team;
    return tracesOf(this.place.hosts, { folder: repository.folder, env });
  }

  /** What is wrong with what hosts serve, asked past the gateway, and with what the gateway sends them. */
  async servedInstead(models: readonly ModelName[]): Promise<string[]> {
    const out = await this.place.outOfGateway();
    return [
      ...differs("served", await servedBy(this.place), models),
      ...out.map((host) => `${host} is left out of the gateway`),
    ];
  }

  /** What is wrong with a deployment that should have changed these hosts once each, and left the others alone. */
  async changedOnly(
    ran: readonly Ran[],
    before: readonly Trace[],
    hosts: readonly string[],
    models: readonly ModelName[],
  ): Promise<string[]> {
    const after = await this.traces();
    const updates = this.names.map((name) => Number(hosts.includes(name)));
    const others = this.names.filter((name) => !hosts.includes(name));
    return [
      ...differs("jobs", ends(ran), [`${change}: success`]),
      ...differs("updates by Pulumi's history", updatesBetween(before, after), updates),
      ...touched(before, after, others),
      ...(await this.servedInstead(models)),
    ];
  }

  /** What is wrong with a deployment that should have left every host alone, and said why. */
  async leftAlone(ran: readonly Ran[], before: readonly Trace[], says: RegExp): Promise<string[]> {
    return [
      ...differs("jobs", ends(ran), [`${change}: success`]),
      ...lacks(logOf(ran), says),
      ...touched(before, await this.traces(), this.names),
    ];
  }

  /** Whatever must be read nowhere. */
  async planted(): Promise<readonly string[]> {
    const { key, fleet } = this.place;
    // The first line is the same in every key of this kind, the last one short.
    const [, ...lines] = (await sshKeyOf(this.place)).split("\n").filter((line) => /^[\w+/]{70}$/.test(line));
    return [key, fleet.env.PULUMI_CONFIG_PASSPHRASE as string, ...lines];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }
}

const sshKeyOf = ({ fleet }: Place): Promise<string> => readFile(fleet.env.LMSTACK_SSH_IDENTITY as string, "utf8");

export const differs = (what: string, found: unknown, wanted: unknown): string[] =>
  JSON.stringify(found) === JSON.stringify(wanted)
    ? []
    : [`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`];

export const lacks = (text: string, says: RegExp): string[] =>
  says.test(text) ? [] : [`it does not say ${says}, but ends with ${JSON.stringify(text.slice(-200))}`];
