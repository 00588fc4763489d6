/** The real Codex CLI in a home of its own, set up with the files that the stack generated. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { profileName } from "../../infra/codex/artifacts.ts";
import { projectRoot, type Stack } from "../pulumi/stack.ts";

export interface CodexRun {
  readonly exitCode: number;
  /** What Codex answered. */
  readonly answer: string;
  /** Everything it said on the way, warnings included. */
  readonly log: string;
  readonly seconds: number;
}

/** Installs the stack's Codex files as a user does (`lmstack codex install`) and gives Codex one task. */
export async function runCodex(stack: Stack, task: string): Promise<CodexRun> {
  const profile = profileName(stack.name);
  const home = await mkdtemp(join(tmpdir(), "lmstack-codex-"));
  const codexHome = join(home, ".codex");
  const work = join(home, "work");
  try {
    const env = { ...stack.env, HOME: home, CODEX_HOME: codexHome, NO_PROXY: "*" };
    await execa(
      process.execPath,
      [
        join(projectRoot, "infra", "cli", "lmstack.ts"),
        "codex",
        "install",
        "--stack",
        stack.name,
        "--codex-home",
        codexHome,
        "--yes",
      ],
      { cwd: projectRoot, env },
    );
    const key = /^(?:export )?(LMS_API_KEY)=['"]?([^'"\n]+)/m.exec(
      await readFile(join(codexHome, `${profile}.env`), "utf8"),
    );
    await execa("mkdir", ["-p", work]);
    const started = performance.now();
    const { exitCode, stdout, stderr } = await execa(
      "codex",
      ["exec", "--profile", profile, "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", task],
      {
        cwd: work,
        env: { ...env, ...(key ? { [key[1] as string]: key[2] as string } : {}) },
        stdin: "ignore",
        reject: false,
        timeout: 120_000,
      },
    );
    return { exitCode: exitCode ?? 1, answer: stdout, log: stderr, seconds: (performance.now() - started) / 1000 };
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}
