/** A fleet of stand-in hosts that grows, driven by the command as a user drives it. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { stringify } from "yaml";
import { z } from "zod";
import { projectRoot } from "../pulumi/stack.ts";
import { fleetOf, type ModelName } from "./fleet.ts";
import type { Place, StandInHosts } from "./hosts.ts";
import { measured, type Usage } from "./usage.ts";

const happening = z.looseObject({
  event: z.string().optional(),
  phase: z.string().optional(),
});
const journaled = z.looseObject({
  rollout: z.looseObject({ hosts: z.record(z.string(), z.looseObject({ after: z.string() })) }),
});
const sayEveryMs = 20_000;

export class ScaleFleet implements AsyncDisposable {
  readonly places: Place[] = [];
  readonly #hosts: StandInHosts;
  readonly #inventory: string;
  readonly #env: Readonly<Record<string, string>>;

  /**
   * @param folder for the inventory
   * @param backend address of a state that nobody else uses
   */
  constructor(hosts: StandInHosts, folder: string, backend: string) {
    this.#hosts = hosts;
    this.#inventory = join(folder, "fleet.yaml");
    this.#env = { ...hosts.env, PULUMI_BACKEND_URL: backend, PULUMI_CONFIG_PASSPHRASE: "lmstack-demo-and-tests" };
  }

  async grow(count: number): Promise<void> {
    while (this.places.length < count)
      this.places.push(await this.#hosts.add(`e2e-scale-${String(this.places.length + 1).padStart(3, "0")}`));
  }

  /** Brings every host to this model, by canary and waves; one that has it already is left alone. */
  async rollOut(model: ModelName, say: (line: string) => void): Promise<Usage> {
    await writeFile(this.#inventory, stringify(fleetOf(this.places, model)));
    await this.#fleet(["sync", "--yes"]);
    const [, usage] = await measured(() => this.#rollOut(say));
    const others = this.places.filter((place) => this.#hosts.loadedOn(place).join() !== model);
    if (others.length > 0) throw new Error(`after the rollout ${others.map(({ name }) => name)} lack ${model}`);
    return usage;
  }

  /** Of each host by its name: the digest of its spec, as the journal has it and as the outputs of its stack do. */
  async digests(): Promise<Record<"journal" | "stacks", Record<string, string>>> {
    const { stdout } = await this.#fleet(["status", "--json"]);
    const { rollout } = journaled.parse(JSON.parse(stdout));
    const told = this.places.map(async ({ name }) => {
      const asked = execa("pulumi", ["stack", "output", "spec", "--stack", name], { cwd: projectRoot, env: this.#env });
      return [name, (await asked).stdout] as const;
    });
    const journal = Object.entries(rollout.hosts).map(([name, { after }]) => [name, after]);
    return { journal: Object.fromEntries(journal), stacks: Object.fromEntries(await Promise.all(told)) };
  }

  async #rollOut(say: (line: string) => void): Promise<void> {
    const child = this.#fleet(["rollout", "--json"]);
    let done = 0;
    let told = performance.now();
    for await (const line of child.iterable()) {
      const { event, phase } = happening.parse(JSON.parse(line));
      if (event === "host-ended" && phase !== "proved") say(line);
      if (event === "host-ended" || event === "previewed") done++;
      if (performance.now() - told < sayEveryMs) continue;
      told = performance.now();
      say(`${done} of ${2 * this.places.length} previews and changes`);
    }
    await child;
  }

  #fleet(words: readonly string[]) {
    const args = [join(projectRoot, "infra/cli/lmstack.ts"), "fleet", ...words, "--file", this.#inventory];
    return execa(process.execPath, args, { cwd: projectRoot, env: this.#env, stdin: "ignore" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { name } of this.places) {
      await rm(join(projectRoot, `Pulumi.${name}.yaml`), { force: true });
      await rm(join(projectRoot, ".lmstack", name), { recursive: true, force: true });
    }
  }
}
