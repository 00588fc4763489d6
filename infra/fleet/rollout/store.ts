/**
 * The journal in the place where the states of the hosts are, whatever kind of place that is: the outputs of a stack of its own, `fleet-rollouts`. A change
 * is an `up` of that stack: under Pulumi's own lock it reads what is there and writes what becomes of it, so no two runners can both take the lease.
 */
import { mkdir, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import * as pulumi from "@pulumi/pulumi";
import {
  CommandError,
  LocalWorkspace,
  type ProjectSettings,
  StackAlreadyExistsError,
  StackNotFoundError,
} from "@pulumi/pulumi/automation/index.js";
import { projectRoot } from "../../cli/pulumi.ts";
import { findStack, type StackFile } from "../../cli/stack-file.ts";
import { yamlOf } from "../../cli/stack-yaml.ts";
import { stackFolder } from "../../host/survey.ts";
import { plainStack, type Unlocking, unlocked } from "./automation.ts";
import type { JournalStore } from "./effects.ts";
import { emptyJournal, type Journal, journalSchema, type Lease } from "./journal.ts";
import { heldBy } from "./lease.ts";
import { writtenMeanwhile } from "./locks.ts";

const name = "fleet-rollouts";
/** Each takes far longer than the moment for which another's write is in the way. */
const mostReads = 5;

interface Place {
  /** Empty, for files of the stack. */
  readonly folder: string;
  /** Of the project that the hosts' stacks are in, as far as they say where state is. */
  readonly settings: ProjectSettings;
  /** Of the hosts' stacks; the backend's own when undefined. */
  readonly secretsProvider: string | undefined;
}

interface Waiting {
  readonly change: (journal: Journal) => Journal;
  readonly done: (journal: Journal) => void;
  readonly failed: (error: unknown) => void;
}

/** The specs are long and much alike. */
const outputsOf = ({ specs, ...journal }: Journal): pulumi.Inputs => ({
  journal,
  specs: gzipSync(JSON.stringify(specs)).toString("base64"),
});

/** @throws ZodError when somebody else has written there */
function journalOf(outputs: Readonly<Record<string, unknown>>): Journal {
  if (outputs.journal === undefined) return emptyJournal;
  const specs: unknown = JSON.parse(gunzipSync(Buffer.from(String(outputs.specs), "base64")).toString());
  return journalSchema.parse({ ...(outputs.journal as object), specs });
}

export class StackJournal implements JournalStore {
  readonly #place: Place;
  readonly #unlocking: Omit<Unlocking, "former">;
  #waiting: Waiting[] = [];
  #writing = false;
  #opened: Promise<LocalWorkspace> | undefined;

  private constructor(place: Place, unlocking: Omit<Unlocking, "former">) {
    this.#place = place;
    this.#unlocking = unlocking;
  }

  /**
   * @param host stack file of any of the hosts: the journal is in the same project, with the same kind of provider of secrets
   * @throws CliFault
   */
  static async beside(host: StackFile | undefined, unlocking: Omit<Unlocking, "former">): Promise<StackJournal> {
    const folder = stackFolder(name);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // What an `up` in another backend left there would be taken for the key of this one's secrets; without it Pulumi asks the state.
    await rm(join(folder, `Pulumi.${name}.yaml`), { force: true });
    const project = yamlOf(await readFile(join(projectRoot, "Pulumi.yaml"), "utf8"), "Pulumi.yaml");
    const provider = host && yamlOf((await findStack(host)) ?? "", host.name).get("secretsprovider");
    const secretsProvider = provider === undefined ? undefined : String(provider);
    const backend = project.getIn(["backend", "url"]);
    const settings: ProjectSettings = {
      ...{ name: String(project.get("name")), runtime: "nodejs" as const },
      ...(backend === undefined ? {} : { backend: { url: backendSeenFrom(projectRoot, String(backend)) } }),
    };
    return new StackJournal({ folder, settings, secretsProvider }, unlocking);
  }

  async read(): Promise<Journal> {
    const workspace = await this.#workspace();
    for (let reads = 1; ; reads += 1) {
      try {
        const { deployment } = await workspace.exportStack(name);
        const { resources = [] } = deployment as { resources?: { type: string; outputs?: Record<string, unknown> }[] };
        return journalOf(resources.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs ?? {});
      } catch (error) {
        if (error instanceof StackNotFoundError) return emptyJournal;
        const passing = error instanceof CommandError && writtenMeanwhile(error.message);
        if (!passing || reads === mostReads) throw error;
      }
    }
  }

  /** What is asked for while another is written is written with the next, all in one. */
  change(change: (journal: Journal) => Journal): Promise<Journal> {
    return new Promise<Journal>((done, failed) => {
      this.#waiting.push({ change, done, failed });
      if (!this.#writing) void this.#write();
    });
  }

  async #write(): Promise<void> {
    this.#writing = true;
    for (let batch = this.#waiting.splice(0); batch.length > 0; batch = this.#waiting.splice(0)) {
      let ends: readonly (() => void)[] = [];
      let refused = false;
      const program = async (): Promise<pulumi.Inputs> => {
        const made = changed(await this.#underLock(), batch);
        ends = made.ends;
        refused = made.after === null;
        if (made.after === null) throw new pulumi.RunError("nothing was changed");
        return outputsOf(made.after);
      };
      await this.#up(program).catch((error: unknown) => {
        // Whoever was refused is told by what refused it.
        if (!refused)
          ends = batch.map(
            ({ failed }) =>
              () =>
                failed(error),
          );
      });
      for (const end of ends) end();
    }
    this.#writing = false;
  }

  async #up(program: pulumi.automation.PulumiFn): Promise<void> {
    const workspace = await this.#workspace();
    const stack = await plainStack(name, workspace);
    const up = () => stack.up({ program, color: "never", message: "journal of rollouts" });
    // Two first rollouts at once may both want to make it.
    const made = () =>
      up().catch(async (error: unknown) => {
        if (!(error instanceof StackNotFoundError)) throw error;
        await workspace.createStack(name).catch((late: unknown) => {
          if (!(late instanceof StackAlreadyExistsError)) throw late;
        });
        return await up();
      });
    await unlocked(stack, { ...this.#unlocking, former: () => this.#dead() }, made);
  }

  /** What the stack has now, asked by the program while it runs. */
  async #underLock(): Promise<Journal> {
    const own = `${pulumi.getOrganization()}/${pulumi.getProject()}/${pulumi.getStack()}`;
    const before = new pulumi.StackReference("before", { name: own });
    const [journal, specs] = await Promise.all(["journal", "specs"].map((key) => before.getOutputDetails(key)));
    return journalOf({ journal: journal?.value, specs: specs?.value });
  }

  /** What a machine left when it died is dead, its lock too. */
  async #dead(): Promise<Lease | null> {
    const { lease } = await this.read();
    return lease && !heldBy(lease, Temporal.Now.instant(), this.#unlocking.here).alive ? lease : null;
  }

  async #workspace(): Promise<LocalWorkspace> {
    const { folder: workDir, settings, secretsProvider } = this.#place;
    this.#opened ??= LocalWorkspace.create({
      ...{ workDir, ...(secretsProvider === undefined ? {} : { secretsProvider }) },
      projectSettings: settings,
      envVars: { PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS: "true" },
    });
    return await this.#opened;
  }
}

/** A folder is named from where the project is. */
export const backendSeenFrom = (folder: string, url: string): string =>
  /^file:\/\/(?![/~])/.test(url) ? pathToFileURL(resolve(folder, url.slice("file://".length))).href : url;

/** Each change sees what the one before it has made. `after` is null when none could be made. */
function changed(before: Journal, batch: readonly Waiting[]): { after: Journal | null; ends: (() => void)[] } {
  let after: Journal | null = null;
  const ends = batch.map(({ change, done, failed }) => {
    try {
      const made = change(after ?? before);
      after = made;
      return () => done(made);
    } catch (error) {
      return () => failed(error);
    }
  });
  return { after, ends };
}
