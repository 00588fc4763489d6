/** `lmstack fleet` as a person or a CI job calls it, with a state of its own. */
import { join } from "node:path";
import { execa } from "execa";
import { projectRoot } from "../pulumi/stack.ts";

export interface Ended {
  /** Null when it was killed. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

const rename = 'hostname "$0" && exec "$@"';

/** For people, who read one and then the other. */
export const wordsOf = ({ stdout, stderr }: Ended): string => `${stderr}\n${stdout}`.trim();

export class FleetCommand {
  /** Of every command: where state is, and what opens the hosts. */
  readonly env: Readonly<Record<string, string>>;
  /** Everything that the commands printed. */
  readonly transcript: string[] = [];

  constructor(env: Readonly<Record<string, string>>) {
    this.env = env;
  }

  /** Everything below runs on a machine of this name, as far as it can tell. */
  machine: string | undefined;

  /** @returns the running process, and how it will have ended */
  start(words: readonly string[], onLine: (line: string) => void = () => {}) {
    const began = performance.now();
    const elsewhere = this.machine === undefined ? [] : ["unshare", "--uts", "sh", "-c", rename, this.machine];
    const [program = "", ...args] = [...elsewhere, process.execPath, join(projectRoot, "infra", "cli", "lmstack.ts")];
    const child = execa(program, [...args, ...words], {
      cwd: projectRoot,
      env: this.env,
      stdin: "ignore",
      all: true,
      reject: false,
    });
    const said = (async () => {
      for await (const line of child.iterable({ from: "all" })) onLine(String(line));
    })();
    const ended = (async (): Promise<Ended> => {
      const { exitCode = null, stdout, stderr } = await child;
      await said.catch(() => {});
      this.transcript.push(stdout, stderr);
      return { exitCode, stdout, stderr, seconds: (performance.now() - began) / 1000 };
    })();
    return { child, ended };
  }

  run(words: readonly string[], onLine?: (line: string) => void): Promise<Ended> {
    return this.start(words, onLine).ended;
  }

  async must(words: readonly string[], onLine?: (line: string) => void): Promise<Ended> {
    const ended = await this.run(words, onLine);
    if (ended.exitCode === 0) return ended;
    throw new Error(`lmstack ${words.join(" ")} ended with ${ended.exitCode}:\n${wordsOf(ended)}`);
  }
}
