/** A team's repository: this project with a fleet in it, as somebody has cloned and filled it. */
import { cp, mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { stringify } from "yaml";
import { projectRoot } from "../pulumi/stack.ts";

/** What jobs run and hosts get; tests and documents are left out. */
const parts = [
  ".github",
  "hostctl",
  "images",
  "infra",
  "proxy",
  "package.json",
  "package-lock.json",
  "Pulumi.yaml",
  "tsconfig.json",
];

export class TeamRepository {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(folder: string): Promise<TeamRepository> {
    const repository = new TeamRepository(folder);
    await mkdir(folder);
    const { stdout } = await execa("git", ["ls-files", "-co", "--exclude-standard", "--", ...parts], {
      cwd: projectRoot,
    });
    for (const name of stdout.split("\n")) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await cp(join(projectRoot, name), join(folder, name)).catch((error: NodeJS.ErrnoException) => {
        // Taken out since, and not committed yet.
        if (error.code !== "ENOENT") throw error;
      });
    }
    await writeFile(join(folder, ".gitignore"), "node_modules\n.lmstack/\n");
    await symlink(join(projectRoot, "node_modules"), join(folder, "node_modules"));
    await repository.git("init", "-q", "-b", "main");
    await repository.git("config", "user.name", "Team");
    await repository.git("config", "user.email", "team@example.org");
    // Jobs fetch a commit by its name, and push branches of their own.
    await repository.git("config", "uploadpack.allowAnySHA1InWant", "true");
    return repository;
  }

  async git(...words: string[]): Promise<string> {
    return (await execa("git", words, { cwd: this.folder })).stdout;
  }

  /** `lmstack …` in the checkout of whoever works on it. */
  async lmstack(env: Readonly<Record<string, string>>, ...words: string[]): Promise<string> {
    const program = join(this.folder, "infra/cli/lmstack.ts");
    const { all } = await execa(process.execPath, [program, ...words], {
      cwd: this.folder,
      env,
      extendEnv: false,
      all: true,
    });
    return all;
  }

  async write(fleet: object): Promise<void> {
    await writeFile(join(this.folder, "fleet.yaml"), stringify(fleet));
  }

  /** @returns the new commit */
  async commit(words: string): Promise<string> {
    await this.git("add", "-A");
    await this.git("commit", "-q", "--allow-empty", "-m", words);
    return await this.git("rev-parse", "HEAD");
  }
}
