import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hostAt } from "../../../../hostctl/host.ts";
import { daemonsOf, endDaemon, parsePs, rootsOf } from "../../../../hostctl/lmstudio/daemons.ts";
import { isAlive } from "../../../../hostctl/process.ts";

const row = (pid: number, parent: number, command: string) => ({ pid, parent, words: command.split(" ") });

describe("LM Studio's daemons in the process table", () => {
  test("are told from the processes that they started, and from everything else", () => {
    const all = [
      row(1, 0, "/sbin/init"),
      row(10, 1, "/home/gpu/.lmstudio/llmster/0.0.25-1/llmster"),
      row(11, 10, "/home/gpu/.lmstudio/llmster/0.0.25-1/llmster --worker"),
      row(12, 11, "/home/gpu/.lmstudio/llmster/0.0.25-1/llmster --worker"),
      row(20, 1, "node /opt/llmster.mjs"),
      row(30, 1, "/home/gpu/.lmstudio/llmster/0.0.26-1/llmster bootstrap"),
      row(31, 1, "/home/gpu/.lmstudio/llmster/0.0.26-1/llmster --version"),
      row(40, 1, "vim notes about llmster"),
      row(41, 1, "tail -f llmster.log"),
      row(42, 1, "grep -r foo llmster"),
    ];
    expect(rootsOf(all)).toEqual([10, 20]);
  });

  test("are read from ps where there is no /proc, this account's alone", () => {
    const output = ["  501   77     1 /Users/me/.lmstudio/llmster", "  502   78     1 /Users/you/llmster", "rubbish"];
    expect(parsePs(output.join("\n"), 501)).toEqual([row(77, 1, "/Users/me/.lmstudio/llmster")]);
  });
});

describe("a daemon", () => {
  let home: string;
  const started: ChildProcess[] = [];
  const host = () => hostAt(home, () => {});

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "lmstack-daemons-"));
    // Neither it nor the engine that it started ends at SIGTERM.
    const text = `#!/bin/sh\ntrap '' TERM\nsh -c 'trap "" TERM; echo engine $$; while :; do sleep 0.1; done' &\necho daemon\nwait\n`;
    await writeFile(join(home, "llmster"), text);
    await chmod(join(home, "llmster"), 0o755);
  });
  afterEach(async () => {
    for (const child of started.splice(0)) child.kill("SIGKILL");
    await rm(home, { recursive: true, force: true });
  });

  /** Resolves when it and its engine run; with the engine's pid. */
  async function start(ownHome = home): Promise<{ pid: number; engine: number }> {
    const child = spawn(join(home, "llmster"), [], { env: { ...process.env, HOME: ownHome }, stdio: "pipe" });
    started.push(child);
    let text = "";
    while (!/daemon/.test(text) || !/engine \d+/.test(text)) text += String((await once(child.stdout, "data"))[0]);
    return { pid: child.pid ?? 0, engine: Number(/engine (\d+)/.exec(text)?.[1]) };
  }

  test("of another home is not this one's", async () => {
    const mine = await start();
    await start("/somewhere/else");
    expect(await daemonsOf(host())).toEqual([mine.pid]);
  });

  test("that does not move any more is ended with its engines, which would keep the card's memory", async () => {
    const { pid, engine } = await start();
    process.kill(pid, "SIGSTOP");
    expect(await endDaemon(host(), pid, 100)).toBe(true);
    expect([pid, engine].filter(isAlive)).toEqual([]);
    expect(await daemonsOf(host())).toEqual([]);
  });
});
