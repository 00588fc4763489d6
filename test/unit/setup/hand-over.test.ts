import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { exitStatus, shouldForward } from "../../../infra/setup/hand-over.mjs";

const handOver = fileURLToPath(new URL("../../../infra/setup/hand-over.mjs", import.meta.url));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lmstack-hand-over-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A set-up that has nothing left to do but hand over to `program`. */
function start(program: string) {
  writeFileSync(join(folder, "program.mjs"), program);
  const text = `import { runToEnd } from ${JSON.stringify(handOver)}; await runToEnd(process.execPath, process.argv.slice(1), process.env);`;
  const args = ["--input-type=module", "-e", text, join(folder, "program.mjs"), "--json", "a b"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    line: async (): Promise<string> => (await lines.next()).value ?? "",
    ended: new Promise<number | null>((resolve) => child.once("exit", resolve)),
  };
}

test("arguments and the exit code pass through", async () => {
  const { line, ended } = start("console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 42;");
  expect(JSON.parse(await line())).toEqual(["--json", "a b"]);
  expect(await ended).toBe(42);
});

test("without a terminal an interrupt and a termination reach the program once each", async () => {
  const program = `
    process.on("SIGINT", () => console.log("interrupted"));
    process.on("SIGTERM", () => { console.log("terminated"); process.exit(7); });
    setInterval(() => {}, 1000); console.log("ready");`;
  const { child, line, ended } = start(program);
  expect(await line()).toBe("ready");
  child.kill("SIGINT");
  expect(await line()).toBe("interrupted");
  child.kill("SIGTERM");
  expect(await line()).toBe("terminated");
  expect(await ended).toBe(7);
});

test("a program ended by a signal gives the shell's exit status for it", async () => {
  const { ended } = start('process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000);');
  expect(await ended).toBe(137);
  expect(exitStatus(null, "SIGTERM")).toBe(143);
  expect(exitStatus(3, null)).toBe(3);
});

test("at a terminal the interrupt is not passed on, because the program has had it already", () => {
  expect(shouldForward("SIGINT", true)).toBe(false);
  expect(shouldForward("SIGINT", false)).toBe(true);
  expect(shouldForward("SIGTERM", true)).toBe(true);
});
