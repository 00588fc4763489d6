/** A real stack, driven through the `pulumi` command as a user or a CI job drives it; what happened is read from the engine's own event log. */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { stringify } from "yaml";

export const projectRoot = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

export interface Step {
  readonly op: string;
  readonly type: string;
  readonly name: string;
}

export interface Outcome {
  readonly exitCode: number;
  readonly seconds: number;
  /** stdout and stderr together, as a terminal would show them. */
  readonly output: string;
  /** Every resource the engine looked at, with what it did or would do; the stack itself left out. */
  readonly steps: readonly Step[];
  /** Warnings and errors, without colour codes. */
  readonly diagnostics: readonly { readonly severity: string; readonly message: string }[];
}

export interface StackOptions {
  readonly name: string;
  readonly spec: unknown;
  /** `lmstack:secret.NAME` values. */
  readonly secrets?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** State's place; a folder of the clone that git ignores when absent. */
  readonly backend?: string;
}

interface EngineEvent {
  readonly resourcePreEvent?: {
    readonly metadata: { readonly op: string; readonly type: string; readonly urn: string };
  };
  readonly diagnosticEvent?: { readonly severity: string; readonly message: string };
}

const passphrase = "lmstack-demo-and-tests";

export class Stack {
  readonly name: string;
  readonly configFile: string;
  readonly env: Readonly<Record<string, string>>;
  /** Everything that previews, ups and destroys of this stack printed, failed ones included. */
  readonly transcript: string[] = [];
  private eventLogs = 0;

  private constructor(options: StackOptions) {
    this.name = options.name;
    this.configFile = join(projectRoot, `Pulumi.${options.name}.yaml`);
    this.env = {
      PULUMI_BACKEND_URL: options.backend ?? `file://${join(projectRoot, ".lmstack", "state")}`,
      PULUMI_CONFIG_PASSPHRASE: passphrase,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      // Without it the event log's flag does not exist.
      PULUMI_DEBUG_COMMANDS: "true",
      NO_COLOR: "1",
      ...options.env,
    };
  }

  /** Makes the stack, or takes up the one that an earlier run left, and writes its configuration. */
  static async open(options: StackOptions): Promise<Stack> {
    const stack = new Stack(options);
    await mkdir(join(projectRoot, ".lmstack", "state"), { recursive: true });
    const { exitCode, stderr } = await stack.run(["stack", "init", "--no-select"], { reject: false });
    if (exitCode !== 0 && !stderr.includes("already exists"))
      throw new Error(`stack ${stack.name} could not be made: ${stderr}`);
    await stack.configure(options.spec, options.secrets);
    return stack;
  }

  async configure(spec: unknown, secrets: Readonly<Record<string, string>> = {}): Promise<void> {
    const salt = await this.encryptionSalt();
    await writeFile(this.configFile, stringify({ ...salt, config: { "lmstack:host": spec } }));
    for (const [name, value] of Object.entries(secrets)) {
      await this.run(["config", "set", "--secret", `lmstack:secret.${name}`], { input: value });
    }
  }

  async preview(): Promise<Outcome> {
    return await this.operate(["preview", "--diff", "--non-interactive"]);
  }

  async up(onLine?: (line: string) => void): Promise<Outcome> {
    return await this.operate(["up", "--yes", "--skip-preview", "--non-interactive"], onLine);
  }

  async destroy(onLine?: (line: string) => void): Promise<Outcome> {
    return await this.operate(["destroy", "--yes", "--skip-preview", "--non-interactive"], onLine);
  }

  async cancel(): Promise<void> {
    await this.run(["cancel", "--yes"], { reject: false });
  }

  async outputs(): Promise<Record<string, unknown>> {
    const { stdout } = await this.run(["stack", "output", "--json", "--show-secrets"]);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  async exportState(): Promise<string> {
    return (await this.run(["stack", "export"])).stdout;
  }

  /** As after a disk that was not saved: the stack's own file of the state is gone, its configuration is not. */
  async loseState(): Promise<void> {
    const states = join(fileURLToPath(this.env.PULUMI_BACKEND_URL as string), ".pulumi", "stacks", "lmstack");
    for (const ending of ["", ".bak"]) await rm(join(states, `${this.name}.json${ending}`), { force: true });
    await this.run(["stack", "init", "--no-select"]);
  }

  /** Forgets the stack and its files here; the host is not touched. */
  async forget(): Promise<void> {
    await this.run(["stack", "rm", "--yes", "--force"], { reject: false });
    await rm(this.configFile, { force: true });
    await rm(join(projectRoot, ".lmstack", this.name), { recursive: true, force: true });
  }

  /** A running `pulumi up` as a process, for those who want to kill it. */
  startUp() {
    return execa("pulumi", ["up", "--yes", "--skip-preview", "--non-interactive", "--stack", this.name], {
      cwd: projectRoot,
      env: this.env,
      stdin: "ignore",
      all: true,
      reject: false,
    });
  }

  private async run(verb: readonly string[], options: { input?: string; reject?: boolean } = {}) {
    return await execa("pulumi", [...verb, "--stack", this.name], {
      cwd: projectRoot,
      env: this.env,
      ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
      reject: options.reject ?? true,
    });
  }

  private async operate(verb: readonly string[], onLine?: (line: string) => void): Promise<Outcome> {
    const events = join(
      projectRoot,
      ".lmstack",
      "state",
      `events-${this.name}-${process.pid}-${this.eventLogs++}.jsonl`,
    );
    const started = performance.now();
    const child = execa("pulumi", [...verb, "--stack", this.name, "--event-log", events], {
      cwd: projectRoot,
      env: this.env,
      stdin: "ignore",
      all: true,
      reject: false,
    });
    if (onLine) for await (const line of child.iterable({ from: "all" })) onLine(String(line));
    const { exitCode, all } = await child;
    const seconds = (performance.now() - started) / 1000;
    this.transcript.push(all);
    const log = await readFile(events, "utf8").catch(() => "");
    await rm(events, { force: true });
    return { exitCode: exitCode ?? 1, seconds, output: all, ...readEvents(log) };
  }

  /** Keeps the key that encrypts this stack's secrets when its configuration is written anew. */
  private async encryptionSalt(): Promise<Record<string, string>> {
    const present = await readFile(this.configFile, "utf8").catch(() => "");
    const salt = /^encryptionsalt: (.+)$/m.exec(present)?.[1];
    return salt ? { encryptionsalt: salt } : {};
  }
}

function readEvents(log: string): Pick<Outcome, "steps" | "diagnostics"> {
  const events = log
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as EngineEvent);
  const steps = events.flatMap(({ resourcePreEvent }) => {
    if (!resourcePreEvent || resourcePreEvent.metadata.type === "pulumi:pulumi:Stack") return [];
    const { op, type, urn } = resourcePreEvent.metadata;
    return [{ op, type, name: urn.split("::").at(-1) ?? urn }];
  });
  const diagnostics = events.flatMap(({ diagnosticEvent }) =>
    diagnosticEvent
      ? [{ severity: diagnosticEvent.severity, message: diagnosticEvent.message.replace(/<\{%.*?%\}>/g, "") }]
      : [],
  );
  return { steps, diagnostics };
}

/** What failed, as the engine says it. */
export const failedWords = ({ output }: Outcome): string => {
  const lines = output.trim().split("\n");
  const said = lines.filter((line) => /error|"message"|lmstack:/i.test(line));
  return (said.length > 0 ? said : lines).slice(-8).join(" | ");
};

/** Steps that are not `same`: what an operator would call a change. */
export const changedSteps = (outcome: Outcome): readonly Step[] =>
  outcome.steps.filter((step) => !["same", "read"].includes(step.op));
