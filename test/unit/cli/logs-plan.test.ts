/** `lmstack logs`: run as the host would run them, with stand-ins for journalctl and docker that say how they were called. */
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type LogPart, type LogWishes, logScript, sinceMoment } from "../../../infra/cli/logs-plan.ts";
import { parseHostSpec } from "../../../infra/spec/parse.ts";
import { exampleSpec } from "../infra/spec/example.ts";

let home: string;
const docker = parseHostSpec(exampleSpec());
const native = parseHostSpec(
  exampleSpec((spec) => {
    spec.proxy.runtime = "native";
  }),
);

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "lmstack-logs-"));
  await mkdir(join(home, "bin"));
  const programs = {
    docker:
      'case "$1" in ps) echo "asked $*" >&2; [ -n "$NO_CONTAINER" ] || echo abc123 ;; *) echo "docker $*" ;; esac',
    journalctl: 'echo "journalctl $*"',
    systemctl: "exit $NO_UNIT",
  };
  for (const [name, text] of Object.entries(programs)) {
    await writeFile(join(home, "bin", name), `#!/bin/sh\n${text}\n`);
    await chmod(join(home, "bin", name), 0o755);
  }
  await mkdir(join(home, ".lmstudio/.internal"), { recursive: true });
  await mkdir(join(home, ".lmstudio/server-logs/2026-11"), { recursive: true });
  await mkdir(join(home, ".lmstack/logs"), { recursive: true });
  await writeFile(join(home, ".lmstack/logs/lmstack-proxy.log"), "of the detached proxy\n");
});
afterAll(async () => {
  await rm(home, { recursive: true, force: true });
});

async function show(part: LogPart, spec = docker, wishes: LogWishes = {}, env: Record<string, string> = {}) {
  const path = `${join(home, "bin")}:${process.env.PATH}`;
  return await execa("sh", ["-c", logScript(part, spec, "box", wishes)], {
    env: { HOME: home, PATH: path, TZ: "UTC", NO_UNIT: "0", ...env },
    reject: false,
    stdin: "ignore",
  });
}

test("the proxy's log is that of the stack's container, or of its service where it has none", async () => {
  const contained = await show("proxy");
  expect(contained.stderr).toContain("label=dev.lmstack.stack=box");
  expect(contained.stdout).toBe("docker logs --tail 200 abc123");
  expect((await show("proxy", docker, { since: "2026-11-28T01:00:00Z" })).stdout).toContain(
    "--since 2026-11-28T01:00:00Z",
  );
  expect((await show("proxy", native)).stdout).toMatch(/^journalctl .*-n 200 --user-unit lmstack-proxy\.service$/);
  expect((await show("proxy", native, {}, { NO_UNIT: "1" })).stdout).toBe("of the detached proxy");
});

test("the supervisor's log begins when it is asked to", async () => {
  const { stdout } = await show("supervisor", docker, { since: "2026-11-28T01:00:00Z" });
  expect(stdout).toMatch(/--since 2026-11-28 01:00:00 UTC .*lmstack-supervisor\.service/);
});

test("LM Studio's log shows what happened, never the text of a request", async () => {
  const folder = join(home, ".lmstudio/server-logs/2026-11");
  await writeFile(join(folder, "2026-11-27.1.log"), "[2026-11-27 23:00:00][INFO] yesterday\n");
  await utimes(join(folder, "2026-11-27.1.log"), 1, 1);
  const today = [
    "[2026-11-28 01:00:00][INFO] received a request",
    '  "prompt": "my secret"',
    "[2026-11-28 02:00:00][INFO] done",
    "",
  ];
  await writeFile(join(folder, "2026-11-28.1.log"), today.join("\n"));
  expect((await show("lmstudio")).stdout.split("\n")).toEqual([today[0], today[2]]);
  const since = (moment: string) => show("lmstudio", docker, { since: moment });
  expect((await since("2026-11-28T01:30:00Z")).stdout).toBe(today[2]);
  expect((await since("2026-11-27T22:00:00Z")).stdout).toContain("yesterday");

  await writeFile(join(home, ".lmstudio/.internal/http-server-config.json"), '{"logSensitiveData": true}');
  const told = await show("lmstudio");
  expect({ code: told.exitCode, out: told.stdout }).toEqual({ code: 1, out: "" });
  expect(told.stderr).toMatch(/prompts.*lmstack up/);
});

test("who stops following leaves no reader behind on the host", async () => {
  const following = execa("sh", ["-c", logScript("proxy", native, "box", { follow: true })], {
    env: { HOME: home, PATH: `${join(home, "bin")}:${process.env.PATH}`, NO_UNIT: "1" },
    stdin: "pipe",
    reject: false,
  });
  const [first] = await once(following.stdout, "data");
  expect(String(first)).toBe("of the detached proxy\n");
  following.stdin.end();
  await following;
  const { stdout } = await execa("ps", ["-eo", "args"]);
  expect(stdout.split("\n").filter((line) => line.includes(`tail -n 200 -F ${home}`))).toEqual([]);
});

test("a moment is a length of time back, or said outright", () => {
  const now = new Date("2026-11-28T03:00:00.500Z");
  expect(sinceMoment("90s", now)).toBe("2026-11-28T02:58:30Z");
  expect(sinceMoment("2h", now)).toBe("2026-11-28T01:00:00Z");
  expect(sinceMoment("2026-11-28T01:00:00+01:00", now)).toBe("2026-11-28T00:00:00Z");
  expect(() => sinceMoment("yesterday", now)).toThrow(/--since: found "yesterday".*10m/);
});

test.each([
  ["a container that is replaced", {}, 0, /docker logs --follow/],
  ["no container", { NO_CONTAINER: "1" }, 1, /^$/],
])("following %s ends by itself, with the reader's own status", async (_, more, status, shown) => {
  const following = await execa("sh", ["-c", logScript("proxy", docker, "box", { follow: true })], {
    env: { HOME: home, PATH: `${join(home, "bin")}:${process.env.PATH}`, ...more },
    // Open for as long as the operator is there.
    stdin: "pipe",
    timeout: 20_000,
    reject: false,
  });
  expect({ late: following.timedOut, status: following.exitCode }).toEqual({ late: false, status });
  expect(following.stdout).toMatch(shown);
});
