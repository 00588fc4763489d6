/** A real fleet: each host's own stack, with the spec that the rollout wants for it, by Pulumi's Automation API. Stack files of the user are only read. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { type EngineEvent, LocalWorkspace, type Stack } from "@pulumi/pulumi/automation/index.js";
import { z } from "zod";
import { readStack, stackFile } from "../../cli/stack-file.ts";
import { stackFolder } from "../../host/survey.ts";
import { parseHostSpec } from "../../spec/parse.ts";
import { stableJson } from "../../spec/stable-json.ts";
import type { FleetHost } from "../compose.ts";
import type { FleetLooks } from "../look.ts";
import type { Reading } from "../metrics.ts";
import type { SeenHost } from "../plan.ts";
import { spreadOverFleet } from "../spread-hosts.ts";
import { stackText } from "../stack-text.ts";
import { plainStack, Told, type Unlocking, unlocked } from "./automation.ts";
import type { Brought, Effects, Gateway, JournalStore, Lacking, Preview, Say } from "./effects.ts";
import type { Journal, SpecText } from "./journal.ts";

export interface FleetPlace {
  /** Of the project. */
  readonly folder: string;
  /** The name of its file, for people. */
  readonly inventory: string;
  readonly hosts: readonly FleetHost[];
  readonly looks: FleetLooks;
  readonly unlocking: Omit<Unlocking, "say" | "patienceSeconds">;
  readonly journal: JournalStore;
  readonly gateway: Gateway | null;
  /** Of the updates in Pulumi's history. */
  readonly message: () => string;
}

/** As long as somebody else's `up` of a host may take. */
const patienceSeconds = 900;
/** Failed updates in a row that are looked over for one that ended well. */
const historyDepth = 20;

const outputs = z.looseObject({ spec: z.string() });

/** What the stack has told of itself at the end of its last `up` that ended well. */
const digestIn = ({ resourcePreEvent }: EngineEvent): string | undefined => {
  const { type, old } = resourcePreEvent?.metadata ?? {};
  return type === "pulumi:pulumi:Stack" ? outputs.safeParse(old?.outputs).data?.spec : undefined;
};

interface Options {
  readonly configFile: string;
  readonly color: "never";
  readonly onEvent: (event: EngineEvent) => void;
}

export class PulumiFleet implements Effects {
  readonly journal: JournalStore;
  readonly gateway: Gateway | null;
  readonly #place: FleetPlace;
  #workspace: Promise<LocalWorkspace> | undefined;

  constructor(place: FleetPlace) {
    this.#place = place;
    this.journal = place.journal;
    this.gateway = place.gateway;
  }

  now = (): Temporal.Instant => Temporal.Now.instant();

  wait = async (seconds: number, signal: AbortSignal): Promise<void> => {
    await setTimeout(seconds * 1_000, undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  };

  async preview(host: string, spec: SpecText, known: Journal["specs"]): Promise<Preview> {
    let digest: string | undefined;
    const { changeSummary: changes } = await this.#operate(
      host,
      spec,
      () => {},
      (stack, options) => {
        const onEvent = (event: EngineEvent) => {
          options.onEvent(event);
          digest ??= digestIn(event);
        };
        return stack.preview({ ...options, onEvent });
      },
    );
    // Asking Pulumi for it is a process a host, of a fifth of a second.
    return { changes, lastGood: known[digest ?? ""] ?? (await this.#lastGood(host)) };
  }

  async spread(lacking: Lacking, tell: (host: string, words: string) => void): Promise<Brought> {
    const hosts = this.#place.hosts.map((host) => {
      const spec = lacking.specs.get(host.name);
      return spec === undefined ? host : this.hostWith(host.name, spec);
    });
    return await spreadOverFleet(hosts, lacking.models, lacking.hostBytesPerSecond, tell);
  }

  async up(host: string, spec: SpecText, say: Say): Promise<void> {
    const message = this.#place.message();
    await this.#operate(host, spec, say, (stack, options) => stack.up({ ...options, message }));
  }

  lookAtAll: FleetLooks["all"] = (hosts, refusals) => this.#place.looks.all(hosts, refusals);

  look = (host: string, spec: SpecText): Promise<SeenHost> => this.#place.looks.at(this.hostWith(host, spec));

  measure = (host: string, spec: SpecText): Promise<Reading | null> =>
    this.#place.looks.reading(this.hostWith(host, spec));

  /** A host of the inventory, or one that has left it, with another spec. @throws Faults when this version does not take it any more */
  hostWith(name: string, spec: SpecText): FleetHost {
    const known = this.#place.hosts.find((host) => host.name === name) ?? { labels: {}, groups: [] };
    const declared = z.record(z.string(), z.unknown()).parse(JSON.parse(spec));
    return { ...known, name, declared, spec: parseHostSpec(declared) };
  }

  async #lastGood(host: string): Promise<SpecText | null> {
    const history = await (await this.#stack(host)).history(historyDepth, 1, false);
    const good = history.find(({ kind, result }) => kind === "update" && result === "succeeded");
    const value = good?.config["lmstack:host"]?.value;
    return value === undefined ? null : stableJson(JSON.parse(value));
  }

  async #operate<T>(
    host: string,
    spec: SpecText,
    say: Say,
    work: (stack: Stack, options: Options) => Promise<T>,
  ): Promise<T> {
    const told = new Told(say);
    try {
      const stack = await this.#stack(host);
      const options = {
        configFile: await this.#configFile(host, spec),
        color: "never",
        onEvent: told.onEvent,
      } as const;
      const unlocking = { ...this.#place.unlocking, patienceSeconds, say };
      return await unlocked(stack, unlocking, () => work(stack, options));
    } catch (error) {
      throw told.failure(error);
    }
  }

  async #stack(host: string): Promise<Stack> {
    this.#workspace ??= LocalWorkspace.create({ workDir: this.#place.folder });
    return await plainStack(host, await this.#workspace);
  }

  /** Secrets and what Pulumi keeps there as in the user's own, which stays as it is. */
  async #configFile(host: string, spec: SpecText): Promise<string> {
    const file = stackFile(host, this.#place.folder);
    const { declared } = this.hostWith(host, spec);
    const { after } = stackText({ name: host, declared }, await readStack(file), file.name, this.#place.inventory);
    const folder = stackFolder(host);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const written = join(folder, "rollout.yaml");
    await writeFile(written, after, { mode: 0o600 });
    return written;
  }
}
