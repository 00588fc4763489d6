/** The folder that `lmstack fleet prometheus` writes, in the hands of a real Prometheus. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { prometheus } from "../../infra/cli/fleet-prometheus.ts";
import { askPulumi, projectRoot } from "../../infra/cli/pulumi.ts";
import { hostKey } from "../unit/infra/spec/example.ts";

const keyValue = "planted-key-of-the-fleet";
const closing: (() => unknown)[] = [];
let folder: string;

/** Says that it has one model, to whoever has the key. @returns its port */
async function startHost(ready: 0 | 1): Promise<number> {
  const server = createServer((request, response) => {
    const right = request.headers.authorization === `Bearer ${keyValue}`;
    response.writeHead(right ? 200 : 401, { "content-type": "text/plain; version=0.0.4" });
    response.end(right ? `lmstack_ready ${ready}\nlmstack_running{model="coder"} 1\n` : "");
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  closing.push(
    () => server.close(),
    () => server.closeAllConnections(),
  );
  return (server.address() as AddressInfo).port;
}

const inventory = (ports: readonly number[]) => `profiles:
  p:
    spec:
      platform: linux-cpu
      models: [{id: coder, source: {path: /models/coder.gguf}}]
      proxy: {bind: 0.0.0.0, keys: [team-a]}
hosts:
${ports
  .map(
    (port, index) =>
      `  box${index}: {profile: p, labels: {site: ams}, spec: {connection: {host: 127.0.0.1, port: ${port}, user: gpu, hostKey: "${hostKey}"}, proxy: {port: ${port}}}}`,
  )
  .join("\n")}
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstack-prometheus-"));
  await mkdir(join(folder, "state"));
  await copyFile(join(projectRoot, "Pulumi.yaml"), join(folder, "Pulumi.yaml"));
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${folder}/state`);
  vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "of-the-test");
  vi.spyOn(console, "error").mockImplementation(() => {});
  await writeFile(join(folder, "fleet.yaml"), inventory([await startHost(1), await startHost(0)]));
  for (const host of ["box0", "box1"]) {
    await askPulumi(["stack", "init", "--no-select"], host, { folder });
    await askPulumi(["config", "set", "--secret", "lmstack:secret.team-a"], host, { folder, input: keyValue });
  }
  await prometheus({ file: "fleet.yaml", to: "watch" }, folder);
});
afterAll(async () => {
  await Promise.all(closing.map((close) => close()));
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** @returns its port */
async function startPrometheus(config: string): Promise<string> {
  const data = ["--storage.tsdb.path", join(folder, "data"), "--web.listen-address", "127.0.0.1:0"];
  const child = spawn("prometheus", ["--config.file", config, ...data], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(child, "exit");
  closing.push(() => {
    child.kill();
    return ended;
  });
  let said = "";
  return await new Promise((resolve, reject) => {
    child.once("error", reject).once("exit", () => reject(new Error(`Prometheus ended: ${said}`)));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      const [, port] = /"Listening on" address=127\.0\.0\.1:(\d+)/.exec(said) ?? [];
      if (port !== undefined) resolve(port);
    });
  });
}

const files = async () => {
  const found = await readdir(join(folder, "watch"), { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
};

it("is accepted by Prometheus, with all its rules, targets and keys", async () => {
  const { stdout } = await execa("promtool", ["check", "config", join(folder, "watch/prometheus.yml")]);
  expect(stdout).toMatch(/prometheus\.yml is valid/);
  expect(stdout.match(/SUCCESS: \d+ rules found/g)).toHaveLength(3);
});

it("has keys in nobody's sight: in one file of their own, which only its owner reads", async () => {
  const holding: string[] = [];
  for (const file of await files()) if ((await readFile(file, "utf8")).includes(keyValue)) holding.push(file);
  expect(holding).toEqual([join(folder, "watch/keys/lmstack")]);
  expect((await stat(holding[0] as string)).mode & 0o777).toBe(0o600);
});

it("asks the hosts with their key, under their own names, and knows which host is ready for a model", async () => {
  const config = join(folder, "watch/prometheus.yml");
  const quick = (await readFile(config, "utf8")).replaceAll("15s", "1s");
  await writeFile(config, quick);
  const port = await startPrometheus(config);
  const ask = async (query: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`);
    const { data } = (await answer.json()) as { data: { result: { metric: object; value: [number, string] }[] } };
    return data.result.map(({ metric, value }) => ({ ...metric, value: value[1] }));
  };
  const ofHosts = { job: "lmstack", platform: "linux-cpu", label_site: "ams", value: "1" };
  await expect
    .poll(() => ask('sort(up{job="lmstack"})'), { timeout: 20_000 })
    .toEqual(["box0", "box1"].map((instance) => expect.objectContaining({ ...ofHosts, instance })));
  await expect
    .poll(() => ask("lmstack_declared_hosts - on (model) model:lmstack_ready_hosts:count"), { timeout: 20_000 })
    .toEqual([{ model: "coder", value: "1" }]);
});

it("is written again without what is gone, and never over what somebody else wrote", async () => {
  await writeFile(join(folder, "watch/keys/lmstack-2"), "of a host that is gone");
  await prometheus({ file: "fleet.yaml", to: "watch" }, folder);
  expect(await readdir(join(folder, "watch/keys"))).toEqual(["lmstack"]);
  await mkdir(join(folder, "theirs"));
  await writeFile(join(folder, "theirs/prometheus.yml"), "global: {}\n");
  await expect(prometheus({ file: "fleet.yaml", to: "theirs" }, folder)).rejects.toThrow(/theirs: found files that/);
  expect(await readdir(join(folder, "theirs"))).toEqual(["prometheus.yml"]);
});
