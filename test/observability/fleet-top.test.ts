/** `lmstack fleet top` in a real terminal, in front of hosts that answer as the proxy does. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Metrics } from "../../proxy/seeing/metrics.ts";
import { Terminal } from "../codex-runs/terminal.ts";
import { hostKey } from "../unit/infra/spec/example.ts";
import { knowsQwen, recordOf } from "../unit/proxy/seeing/records.ts";

const closing: (() => unknown)[] = [];
let folder: string;
let queued = 0;
let program: string[];

/** @returns its port */
async function startHost(): Promise<number> {
  const metrics = new Metrics(knowsQwen(), {
    version: "1",
    queues: () => [{ model: "qwen", slots: 2, running: 2, queued, claimed: 0, heldUntil: null, missing: false }],
    openStreams: () => 0,
    connections: () => 0,
    gpus: () => [],
    ready: () => true,
  });
  const server = createServer(async (_, response) => {
    // One more answer of forty tokens each time it is asked.
    metrics.finished(recordOf());
    response.end(await metrics.text());
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  closing.push(
    () => server.close(),
    () => server.closeAllConnections(),
    () => metrics.close(),
  );
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstack-top-"));
  const ports = [await startHost(), await startHost()];
  const hosts = [...ports, 1].map(
    (port, index) =>
      `  box${index}: {profile: p, spec: {connection: {host: 10.0.0.${index + 1}, user: gpu, hostKey: "${hostKey}"}, codex: {baseUrl: "http://127.0.0.1:${port}/v1"}}}`,
  );
  const profile = "  p: {spec: {platform: linux-cpu, models: [], proxy: {bind: 127.0.0.1}}}";
  await writeFile(join(folder, "fleet.yaml"), `profiles:\n${profile}\nhosts:\n${hosts.join("\n")}\n`);
  const lmstack = join(import.meta.dirname, "../../infra/cli/lmstack.ts");
  program = [process.execPath, lmstack, "fleet", "top", "--file", join(folder, "fleet.yaml")];
});
afterAll(async () => {
  for (const close of closing) close();
  await rm(folder, { recursive: true, force: true });
});

it("shows each host as it goes on, follows it, and leaves the terminal as it was", async () => {
  const place = { socket: join(folder, "tmux"), work: folder, env: process.env, columns: 120, rows: 24 };
  await using terminal = await Terminal.open(["sh"], place);
  await terminal.press("PS1='back again$ '");
  await terminal.press("Enter");
  await terminal.enter(program.join(" "));
  const lively = (line: string) => new RegExp(line, "m");
  await terminal.until("both hosts", (shown) => lively("^box1 +ready +qwen +2/2 +0 +[1-9]").test(shown), 30);
  const first = await terminal.screen();
  expect(first).toMatch(/^2 of 3 hosts ready/m);
  expect(first).toMatch(/^box2 +SILENT +http:\/\/127\.0\.0\.1:1\/metrics: ECONNREFUSED\. Next: /m);
  queued = 7;
  await terminal.until("what waits now", (shown) => lively("^box0 +ready +qwen +2/2 +7").test(shown), 10);
  await terminal.press("q");
  const after = await terminal.until("the shell", (shown) => /back again\$ *$/.test(shown.trimEnd()), 10);
  expect(after).not.toContain("hosts ready");
});

it("without a terminal it looks once, and says by its exit status that a host is silent", async () => {
  const [node = "", ...args] = program;
  const { stdout, exitCode } = await execa(node, [...args, "--json"], { reject: false });
  expect(exitCode).toBe(3);
  const { hosts } = JSON.parse(stdout);
  expect(hosts).toMatchObject([
    { host: "box0", silence: null, rates: { requests: 1 } },
    { host: "box1", silence: null },
    { host: "box2", reading: null, silence: { why: expect.stringContaining("ECONNREFUSED") } },
  ]);
});
