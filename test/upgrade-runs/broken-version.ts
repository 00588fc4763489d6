/** A host of its own on which one version of LM Studio serves and a broken one is tried. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LmstudioDocument } from "../../infra/spec/host-documents.ts";
import { buildInstaller } from "../lmstudio-sim/build.ts";
import { readJournal } from "../lmstudio-sim/journal.ts";
import { type Traps, trapsFile } from "../lmstudio-sim/traps.ts";
import { type Answer, Scratch } from "../unit/hostctl/scratch.ts";

export const good = "0.0.25-1";
export const newer = "0.0.26-1";

/** How a version can be broken, what the failure has to name, and what is done to it in the stand-in. */
export const breakages = {
  "thinks again": { says: /tokens of reasoning|reasoning tokens/, traps: { thinksAnyway: true } },
  "crashes when it is asked": { says: /no answer|daemon died/, traps: { crashAfterRequests: 2 } },
  "crashes at its start": { says: /did not start/, traps: { crashAtStart: true } },
  "does not listen": { says: /does not greet/, traps: { serverDoesNotListen: true } },
  "cannot load the model": { says: /out of memory/, traps: { loadFails: "out of memory" } },
} as const satisfies Readonly<Record<string, { says: RegExp; traps: Partial<Traps> }>>;

export type Breakage = keyof typeof breakages;

/** Quick where nothing is tested by slowness. */
const quick: Partial<Traps> = { lmsDelayMs: 0, wakePollMs: 20, verifyIntervalMs: 50, downExitMs: 20 };

export class ServingHost implements AsyncDisposable {
  readonly scratch: Scratch;
  private readonly documents: Readonly<Record<string, LmstudioDocument>>;

  private constructor(scratch: Scratch, documents: ServingHost["documents"]) {
    this.scratch = scratch;
    this.documents = documents;
  }

  /** The good version serves one model. */
  static async make(versions: readonly string[] = [good, newer]): Promise<ServingHost> {
    const scratch = await Scratch.make({ lmstudio: false });
    const documents: Record<string, LmstudioDocument> = {};
    for (const version of versions) {
      const { tarball, sha512 } = await buildInstaller({ version, engine: "script" });
      documents[version] = scratch.lmstudio({ version, sha512, url: `file://${tarball}`, models: ["alpha"] });
    }
    const host = new ServingHost(scratch, documents);
    await scratch.must("converge", "lmstudio", host.document(good));
    await host.setTraps({});
    await scratch.must("converge", "model", scratch.model("alpha"));
    return host;
  }

  document(version: string): LmstudioDocument {
    const found = this.documents[version];
    if (found === undefined) throw new Error(`no installer of ${version} was built`);
    return found;
  }

  async setTraps(byVersion: Traps["byVersion"]): Promise<void> {
    const file = trapsFile(join(this.scratch.home, ".lmstudio"));
    await writeFile(file, JSON.stringify({ ...quick, byVersion }));
  }

  async up(version: string): Promise<Answer> {
    return await this.scratch.run("converge", "lmstudio", this.document(version));
  }

  /** Killed right after the last step, an upgrade has come to its end. */
  async provedLast(): Promise<string> {
    const text = await readFile(join(this.scratch.home, ".lmstack/state/installed.json"), "utf8");
    return (JSON.parse(text) as { good: string }).good;
  }

  /** Starts of a daemon since the host was made. */
  starts(): number {
    const entries = readJournal(join(this.scratch.home, ".lmstudio"));
    return entries.filter((entry) => entry.event === "daemon" && entry.what === "start").length;
  }

  /** What is not as it should be on a host where `version` serves; empty when all is right. */
  async faults(version: string): Promise<string[]> {
    const left = (await this.scratch.files()).filter((path) => /before-upgrade|\.unpacked|\.tmp|\.part/.test(path));
    return [...(await this.servingFaults(version)), ...left.map((path) => `left behind: ${path}`)];
  }

  async servingFaults(version: string): Promise<string[]> {
    const { scratch } = this;
    const { lmstudio, incidents } = await scratch.observe([scratch.model("alpha")]);
    const loaded = await scratch.instances();
    const daemons = await scratch.processes("llmster/");
    return [
      ...(lmstudio.installedVersion === version ? [] : [`${lmstudio.installedVersion} is the one that starts`]),
      ...(lmstudio.daemon.supervised && lmstudio.server.greeting ? [] : ["it does not serve"]),
      ...(loaded.join() === "alpha" ? [] : [`loaded: ${loaded.join(", ") || "nothing"}`]),
      ...(daemons.length <= 2 ? [] : [`${daemons.length} processes of daemons`]),
      ...lmstudio.settingsDrift.map((key) => `drift of ${key}`),
      ...Object.values(incidents).flat(),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scratch[Symbol.asyncDispose]();
  }
}
