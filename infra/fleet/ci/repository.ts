/** What the checkout's git says: what two revisions declare, and a commit that declares again what one of them did. */
import { join } from "node:path";
import { execa } from "execa";
import { CliFault } from "../../cli/fault.ts";
import { Faults } from "../../spec/faults.ts";
import { readFleet } from "../compose.ts";
import { affectedHosts, type HostChange, type Revision } from "./affected.ts";

/** What is put on hosts, and what puts it there: a change of it may change any host. */
const program = [
  ...["package-lock.json", "Pulumi.yaml", "hostctl", "proxy", "images/proxy", "infra"],
  ...["cli", "fleet", "setup"].map((folder) => `:(exclude)infra/${folder}`),
];
const stackFiles = "Pulumi.*.yaml";

export class Repository {
  readonly #folder: string;
  readonly #inventory: string;

  /** @param inventory its path in the folder, which is the repository's own */
  constructor(folder: string, inventory: string) {
    this.#folder = folder;
    this.#inventory = inventory;
  }

  /** @returns the whole name of the commit; null when the checkout has no such thing, as a shallow one may not */
  async commit(revision: string): Promise<string | null> {
    return (await this.#ask(["rev-parse", "--verify", "--quiet", `${revision}^{commit}`]))?.trim() ?? null;
  }

  /** @param before null when nothing is known of what hosts have */
  async changes(before: string | null, after: string): Promise<HostChange[]> {
    if (before === null) return affectedHosts(null, await this.#revision(after, []), false);
    const files = await this.#differing(before, after, [stackFiles]);
    const [old, now, code] = await Promise.all([
      // Hosts cannot have what no rollout could read.
      this.#revision(before, files).catch((error: unknown) => (error instanceof Faults ? null : Promise.reject(error))),
      this.#revision(after, files),
      this.#differing(before, after, program),
    ]);
    return affectedHosts(old, now, code.length > 0);
  }

  /** Whether hosts are asked for the same by both; not where the checkout lacks one of them. */
  async declaresSame(one: string, other: string): Promise<boolean> {
    const known = (await this.commit(one)) !== null && (await this.commit(other)) !== null;
    return known && (await this.#differing(one, other, this.#deployed)).length === 0;
  }

  /**
   * A commit on top of `tip` that declares what `good` did and leaves everything else as it is; no branch and no file of the checkout is touched.
   * @returns its name, the same for the same question
   */
  async restoring(good: string, tip: string, words: string): Promise<string> {
    const scratch = join(await this.#must(["rev-parse", "--absolute-git-dir"]), `lmstack-restoring-${process.pid}`);
    const date = await this.#must(["show", "-s", "--format=%cI", tip]);
    const env = { GIT_INDEX_FILE: scratch, ...author, GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date };
    await this.#must(["read-tree", tip], env);
    const files = await this.#differing(good, tip, this.#deployed);
    await this.#must(["--literal-pathspecs", "restore", `--source=${good}`, "--staged", "--", ...files], env);
    return await this.#must(["commit-tree", await this.#must(["write-tree"], env), "-p", tip, "-m", words], env);
  }

  async push(commit: string, branch: string): Promise<void> {
    await this.#must(["push", "origin", `${commit}:refs/heads/${branch}`]);
  }

  get #deployed(): string[] {
    return [this.#inventory, stackFiles, ...program];
  }

  async #revision(revision: string, files: readonly string[]): Promise<Revision> {
    const text = await this.#ask(["show", `${revision}:${this.#inventory}`]);
    const hosts = text === null ? [] : readFleet(text, this.#inventory).hosts;
    const texts = await Promise.all(
      files.map(async (file) => [file, await this.#ask(["show", `${revision}:${file}`])] as const),
    );
    return {
      hosts,
      files: new Map(
        texts.flatMap(([file, found]) =>
          found === null ? [] : [[file.replace(/^Pulumi\.(.+)\.yaml$/, "$1"), found] as const],
        ),
      ),
    };
  }

  async #differing(one: string, other: string, paths: readonly string[]): Promise<string[]> {
    const names = await this.#must(["diff", "--name-only", "-z", "--no-renames", one, other, "--", ...paths]);
    return names.split("\0").filter((name) => name !== "");
  }

  async #ask(words: readonly string[]): Promise<string | null> {
    const { failed, stdout } = await execa("git", words, { cwd: this.#folder, reject: false });
    return failed ? null : stdout;
  }

  async #must(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const { failed, stdout, stderr } = await execa("git", words, { cwd: this.#folder, env, reject: false });
    if (failed)
      throw new CliFault(
        `git ${words.slice(0, 2).join(" ")}: ${stderr.trim()}. Next: \`git fetch --unshallow\`; in a workflow \`fetch-depth: 0\``,
      );
    return stdout;
  }
}

const author = Object.fromEntries(
  ["AUTHOR", "COMMITTER"].flatMap((who) => [
    [`GIT_${who}_NAME`, "lmstack"],
    [`GIT_${who}_EMAIL`, "lmstack@users.noreply.github.com"],
  ]),
);
