/** A home of its own in which hostctl runs as on a host, with plain processes instead of services. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  Change,
  ErrorCode,
  LmstudioDocument,
  ModelDocument,
  Observed,
} from "../../../infra/spec/host-documents.ts";
import { writeScriptModel } from "../../lmstudio-sim/gguf/script-model.ts";
import { installInto } from "../../lmstudio-sim/install.ts";

const program = join(import.meta.dirname, "../../../hostctl/main.ts");

export interface Answer {
  readonly code: number | null;
  readonly ok: boolean;
  readonly changed: readonly Change[];
  readonly observed?: unknown;
  readonly error?: { readonly code: ErrorCode; readonly message: string; readonly hint: string };
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly answer: Promise<Answer>;
  /** Progress so far. */
  readonly said: () => string;
}

export class Scratch implements AsyncDisposable {
  readonly home: string;
  readonly port: number;
  readonly models: string;
  private readonly installed: Awaited<ReturnType<typeof installInto>> | null;

  private constructor(home: string, port: number, installed: Scratch["installed"]) {
    this.home = home;
    this.port = port;
    this.models = join(home, "files");
    this.installed = installed;
  }

  /** `lmstudio`: LM Studio is there already, as if a person had installed it. */
  static async make(options: { lmstudio?: boolean; traps?: Parameters<typeof installInto>[1] } = {}): Promise<Scratch> {
    const home = await mkdtemp(join(tmpdir(), "lmstack-host-"));
    const installed = options.lmstudio === false ? null : await installInto(home, options.traps);
    const scratch = new Scratch(home, await freePort(), installed);
    await mkdir(scratch.models);
    for (const name of ["alpha", "beta"]) await writeScriptModel(join(scratch.models, `${name}.gguf`), { name });
    return scratch;
  }

  setTraps(traps: Parameters<NonNullable<Scratch["installed"]>["setTraps"]>[0]): void {
    this.installed?.setTraps(traps);
  }

  lmstudio(changes: Partial<LmstudioDocument> = {}): LmstudioDocument {
    const base = { stack: "test", token: "t1", become: "none", platform: "linux-cpu", version: "0.0.25-1" } as const;
    return { ...base, url: "file:///nowhere.tar.gz", backendPort: this.port, ...changes };
  }

  model(id: string, changes: Partial<ModelDocument> = {}): ModelDocument {
    return {
      stack: "test",
      token: "t1",
      become: "none",
      id,
      source: { path: join(this.models, `${id}.gguf`) },
      import: "symlink",
      publisher: "local",
      repo: id,
      load: { gpu: "max", contextLength: 4096, parallel: 2 },
      order: id === "alpha" ? 0 : 1,
      ...changes,
    };
  }

  start(verb: string, part: string, document: object): Running {
    const words = [program, verb, ...(part === "" ? [] : [part])];
    // Whatever Docker this machine has is none of this home's.
    const env = { ...process.env, HOME: this.home, DOCKER_HOST: `unix://${this.home}/no-docker.sock` };
    const child = spawn(process.execPath, words, { env, stdio: "pipe" });
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output.stderr += text;
    });
    child.stdin.on("error", () => {});
    child.stdin.end(JSON.stringify(document));
    const answer = new Promise<Answer>((resolve) => {
      child.on("close", (code) => {
        const line = output.stdout.trim();
        const parsed = line === "" ? { ok: false, changed: [] } : (JSON.parse(line) as Omit<Answer, "code" | "stderr">);
        resolve({ ...parsed, code, stderr: output.stderr });
      });
    });
    return { child, answer, said: () => output.stderr };
  }

  run(verb: string, part: string, document: object): Promise<Answer> {
    return this.start(verb, part, document).answer;
  }

  /** Runs and expects success. */
  async must(verb: string, part: string, document: object): Promise<Answer> {
    const answer = await this.run(verb, part, document);
    if (answer.ok && answer.code === 0) return answer;
    throw new Error(`${verb} ${part}: ${JSON.stringify(answer.error)} ${answer.stderr}`);
  }

  async observe(models: readonly ModelDocument[] = []): Promise<Observed> {
    const lmstudio = this.lmstudio();
    const document = { stack: "test", become: "none", backendPort: this.port, proxyPort: 1, models, lmstudio };
    return (await this.must("observe", "", document)).observed as Observed;
  }

  /** What `lms ARGS` prints on stdout. */
  async lms(...args: string[]): Promise<string> {
    const child = spawn(join(this.home, ".lmstudio/bin/lms"), args, { env: { ...process.env, HOME: this.home } });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    await new Promise((resolve) => child.on("close", resolve));
    return text;
  }

  async instances(): Promise<string[]> {
    const answer = await fetch(`http://127.0.0.1:${this.port}/api/v1/models`).catch(() => null);
    if (answer === null) return [];
    const { models } = (await answer.json()) as { models: { loaded_instances: { id: string }[] }[] };
    return models.flatMap((model) => model.loaded_instances.map(({ id }) => id)).sort();
  }

  /** Pids of running processes of this home whose command line holds `words`. */
  async processes(words: string): Promise<number[]> {
    const found: number[] = [];
    for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
      const [line, surroundings] = await Promise.all(
        ["cmdline", "environ"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "")),
      );
      if (line?.includes(words) && surroundings?.includes(`HOME=${this.home}\0`)) found.push(Number(pid));
    }
    return found;
  }

  /** Every path below the home, but for this test's own files. */
  async files(): Promise<string[]> {
    const all = await readdir(this.home, { recursive: true });
    return all.filter((path) => !/^files(\/|$)|\/\.bundle\//.test(path)).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const words of ["main.ts", "llmster", "lms", "lms-no-think-proxy.py"]) {
      for (const pid of await this.processes(words)) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // gone meanwhile
        }
      }
    }
    await expectGone(() => this.processes(""));
    await rm(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function expectGone(list: () => Promise<number[]>): Promise<void> {
  for (let tries = 0; tries < 100 && (await list()).length > 0; tries++)
    await new Promise((resolve) => setTimeout(resolve, 50));
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
