import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { AccessLog } from "../../../../proxy/seeing/access-log.ts";
import type { RequestRecord } from "../../../../proxy/seeing/record.ts";
import { failureOf, knowsQwen, recordOf } from "./records.ts";

function logged(records: readonly RequestRecord[], level = "debug"): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { level, base: null, timestamp: false },
    { write: (line: string) => void lines.push(JSON.parse(line)) },
  );
  const access = new AccessLog(log, knowsQwen());
  for (const record of records) access.finished(record);
  return lines;
}

const [info, warn, debug] = [30, 40, 20];

describe("the access log", () => {
  it("has one line a request, with fields that stay what they are", () => {
    expect(logged([recordOf()])).toEqual([
      {
        level: info,
        requestId: "r-1",
        method: "POST",
        path: "/v1/responses",
        endpoint: "/v1/responses",
        outcome: "complete",
        status: 200,
        stream: true,
        ms: 1000,
        model: "qwen",
        key: "team-a",
        queueMs: 50,
        firstTokenMs: 200,
        input: 100,
        output: 40,
        cached: 60,
        reasoning: 0,
        requestBytes: 400,
        responseBytes: 900,
        rewritten: ["thinking-off"],
        msg: "request",
      },
    ]);
  });

  it("warns of a failed request and says why", () => {
    expect(logged([failureOf()])).toMatchObject([
      { level: warn, code: "upstream_down", reason: "LM Studio does not answer. Start it.", outcome: "failed" },
    ]);
  });

  it("names what is rare only when it happened", () => {
    const [line] = logged([recordOf({ retried: true, leaks: 2, rewritten: [] })]);
    expect(line).toMatchObject({ retried: true, leaks: 2 });
    expect(line).not.toHaveProperty("rewritten");
    expect(line).not.toHaveProperty("code");
  });

  it("shows probes only to those who look for them", () => {
    const probe = recordOf({ path: "/readyz", endpoint: "/readyz" });
    expect(logged([probe])).toMatchObject([{ level: debug }]);
    expect(logged([probe], "info")).toEqual([]);
  });

  it("keeps a line short, however long a path, a name or LM Studio's complaint is", () => {
    const long = "x".repeat(100_000);
    const [line] = logged([failureOf({ path: long, model: long, message: long })]);
    expect(JSON.stringify(line).length).toBeLessThan(4000);
  });

  it("tells once for each model that it thinks although thinking is off, and what to do", () => {
    const leak = recordOf({ leaks: 2 });
    const tokens = { input: 1, output: 9, cached: 0, reasoning: 7 };
    const lines = logged([leak, leak, recordOf({ model: "llama", tokens }), leak]);
    const warnings = lines.filter(({ level }) => level === warn).map(({ msg }) => msg);
    expect(warnings).toEqual([
      expect.stringMatching(/^model qwen thinks although thinking is off: 2 thoughts .* Set proxy\.noThink: both/),
      expect.stringMatching(/^model llama thinks although thinking is off: LM Studio counted 7 reasoning tokens/),
    ]);
  });

  it("does not call it a leak when a client wanted thoughts", () => {
    const tokens = { input: 1, output: 9, cached: 0, reasoning: 7 };
    expect(logged([recordOf({ tokens, rewritten: ["thinking-on"] })])).toMatchObject([{ level: info }]);
  });
});

const openLog = JSON.stringify(join(import.meta.dirname, "../../../../proxy/seeing/open-log.ts"));

/** A process that logs by `openLog` and does what `script` says. */
function start(script: string) {
  const source = `import { openLog } from ${openLog};\nconst log = openLog();\n${script}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { lines: [] as string[], rest: "", errors: "" };
  const ended = Promise.all([once(child, "exit"), once(child.stdout, "end"), once(child.stderr, "end")]);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (output.rest + text).split("\n");
    output.rest = lines.pop() ?? "";
    output.lines.push(...lines);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output.errors += text;
  });
  return { child, output, ended };
}

const messages = (lines: readonly string[]) => lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
const count = (howMany: number) => Array.from({ length: howMany }, (_, i) => `line ${i}`);

describe("the log's way to standard output", () => {
  it("loses no line when the process is asked to end and ends by itself", async () => {
    const { child, output, ended } = start(`
      process.on("SIGTERM", () => { for (let i = 2; i < 5000; i++) log.info("line " + i); process.exit(0); });
      for (let i = 0; i < 2; i++) log.info("line " + i);
      setInterval(() => {}, 1000);
    `);
    // The first lines come by the flush of every second: then the handler is there too.
    await once(child.stdout, "data");
    child.kill("SIGTERM");
    expect((await ended)[0]).toEqual([0, null]);
    expect(messages(output.lines)).toEqual(count(5000));
    expect(output.rest).toBe("");
  });

  it("keeps lines whole and in their order when the end comes in the middle of much work", async () => {
    const turns = [150, 1300, 2100, 2343, 4000].map(async (last) => {
      const { output, ended } = start(`
        let next = 0;
        const work = () => {
          for (let k = 0; k < 37 && next < ${last}; k++) log.info("line " + next++);
          if (next === ${last}) process.exit(0);
          setImmediate(work);
        };
        work();
      `);
      await ended;
      expect(messages(output.lines)).toEqual(count(last));
    });
    await Promise.all(turns);
  });

  it("loses no line when an exception that nobody caught ends the process", async () => {
    const { output, ended } = start(`
      for (let i = 0; i < 300; i++) log.info("line " + i);
      setImmediate(() => { throw new Error("boom"); });
    `);
    expect((await ended)[0]).toEqual([1, null]);
    expect(messages(output.lines)).toEqual(count(300));
    expect(output.errors).toContain("boom");
  });

  it("lets a process end that has nothing left to do, with all its lines", async () => {
    const { output, ended } = start('log.info("line 0");');
    expect((await ended)[0]).toEqual([0, null]);
    expect(messages(output.lines)).toEqual(count(1));
  });

  it("goes on when whoever read the log is gone", async () => {
    const { child, output } = start(`
      process.on("SIGTERM", () => { process.stderr.write("alive", () => process.exit(0)); });
      setInterval(() => log.info("x".repeat(8000)), 5);
      setTimeout(() => process.stderr.write("going "), 300);
    `);
    await once(child.stdout, "data");
    child.stdout.destroy();
    await once(child.stderr, "data");
    child.kill("SIGTERM");
    await Promise.all([once(child, "exit"), once(child.stderr, "end")]);
    expect(output.errors).toContain("alive");
  });
});
