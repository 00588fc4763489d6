/** A fleet's gateway on a machine of its own: put there by its stack, over SSH, as a service of a user without root. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { type Ended, FleetCommand, wordsOf } from "../fleet-runs/fleet-command.ts";
import { ask, hostOf, send } from "../gateway/client.ts";
import { StandInHost } from "../gateway/stand-in-host.ts";
import { startHost, type TestHost } from "../hosts/host.ts";
import { projectRoot } from "../pulumi/stack.ts";
import { difference, fingerprint } from "./host-fingerprint.ts";

const stack = "e2e-gateway";
const key = "sk-gateway-1b7f2";
const folder = join(projectRoot, ".lmstack", "fleet-runs", stack);
const inventory = ["--file", join(folder, "fleet.yaml")];
const boxes = ["e2e-gw-a", "e2e-gw-b"];

let machine: TestHost;
let found: readonly string[];
let hosts: StandInHost[];
let fleet: FleetCommand;

const say = (line: string) => console.log(`   ${line}`);
const url = () => `http://${machine.address}:8080`;
const up = (...words: string[]) =>
  fleet.run(["up", "--stack", stack, "--json", "--", "--yes", "--skip-preview", ...words]);
const pulumi = (words: readonly string[], input = "") =>
  execa("pulumi", [...words, "--stack", stack], { cwd: projectRoot, env: fleet.env, input });
const forget = async () => {
  await rm(folder, { recursive: true, force: true });
  for (const name of [stack, ...boxes]) {
    await rm(join(projectRoot, `Pulumi.${name}.yaml`), { force: true });
    await rm(join(projectRoot, ".lmstack", name), { recursive: true, force: true });
  }
};

async function declare(names: readonly string[], port = 8080): Promise<void> {
  const { address, user, hostKey } = machine;
  const bridge = address.replace(/\d+$/, "1");
  const specs = hosts
    .filter(({ name }) => names.includes(name))
    .map(({ name, port }, index): [string, object] => {
      const connection = { host: bridge, port: 2200 + index, user, hostKey };
      const models = [{ id: "coder", source: { path: "/models/coder.gguf" } }];
      return [name, { spec: { platform: "linux-cpu", connection, models, proxy: { port, keys: ["team-a"] } } }];
    });
  const gateway = { stack, port, connection: { host: address, user, hostKey, become: "none" } };
  await writeFile(join(folder, "fleet.yaml"), stringify({ hosts: Object.fromEntries(specs), gateway }));
}

beforeAll(async () => {
  await forget();
  await mkdir(join(folder, "state"), { recursive: true });
  machine = await startHost({ name: stack, gateway: true, gpu: false, onProgress: say });
  found = await fingerprint(machine);
  hosts = await Promise.all(boxes.map((name) => StandInHost.open(name, ["coder"], "0.0.0.0")));
  fleet = new FleetCommand({
    PULUMI_BACKEND_URL: pathToFileURL(join(folder, "state")).href,
    PULUMI_CONFIG_PASSPHRASE: stack,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    NO_COLOR: "1",
    LMSTACK_SSH_IDENTITY: machine.identityFile,
  });
});

afterAll(async () => {
  for (const host of hosts ?? []) await host[Symbol.asyncDispose]();
  await machine?.remove();
  await forget();
});

describe("the gateway's stack", () => {
  test("is made by sync, asks for Codex's key in words, and makes the endpoint with one up", async () => {
    await declare(boxes);
    await fleet.must(["fleet", "sync", "--yes", ...inventory]);
    const without = await up();
    expect(wordsOf(without)).toMatch(/Codex's key for the gateway is missing.*\n.*lmstack:secret\.team-a/);
    await pulumi(["config", "set", "--secret", "lmstack:secret.team-a"], key);
    const first = await up();
    expect(first.exitCode, wordsOf(first)).toBe(0);
    say(`first up: ${first.seconds.toFixed(1)} s`);
    expect(boxes).toContain(hostOf(await ask(url(), { session: "one" })));
    const { stdout } = await pulumi(["stack", "output", "--json", "--show-secrets"]);
    const { endpoint, codex } = JSON.parse(stdout);
    expect(endpoint).toBe(`${url()}/v1`);
    expect(codex[`${stack}.config.toml`].content).toContain(`base_url = "${url()}/v1"`);
    expect(codex[`${stack}.env`].content).toContain(key);
  });

  test("changes nothing a second time, repairs what was edited or stopped by hand, and takes a changed inventory without a cut", async () => {
    const log = () =>
      machine.exec("systemctl --user -M gpu@ show -p MainPID --value lmstack-gateway-e2e-gateway", { root: true });
    const master = (await log()).stdout;
    const changed = ({ stdout }: Ended): boolean => JSON.parse(stdout).resources.update > 0;
    expect(changed(await up())).toBe(false);
    await machine.exec("echo '-- mine' >> .lmstack-gateway/e2e-gateway/cut-streams.lua");
    const repaired = await up();
    expect(wordsOf(repaired)).toContain("edited by hand");
    expect(changed(repaired)).toBe(true);
    const mine = "cat .lmstack-gateway/e2e-gateway/* 2>&1 | grep -c '^-- mine'";
    expect((await machine.exec(mine, { reject: false })).stdout.trim()).toBe("0");

    let over = false;
    const statuses = new Set<number>();
    const load = (async () => {
      while (!over) statuses.add((await ask(url(), { session: "one" })).status);
    })();
    await declare(boxes.slice(0, 1));
    expect(changed(await up())).toBe(true);
    over = true;
    await load;
    expect([...statuses]).toEqual([200]);
    expect((await log()).stdout).toBe(master);
    await declare(boxes);
    await up();
  });

  test("survives a reboot of its machine with the hosts that were out still out", async () => {
    const status = async () => (await fleet.run(["fleet", "gateway", "status", ...inventory])).stdout;
    await fleet.must(["fleet", "gateway", "drain", "e2e-gw-a", "--seconds", "5", ...inventory]);
    expect(await status()).toMatch(/^model:coder +e2e-gw-a +MAINT/m);
    await machine.reboot();
    await expect.poll(status, { timeout: 20_000 }).toMatch(/^model:coder +e2e-gw-a +MAINT/m);
    for (const session of ["a", "b", "c", "d", "e"]) expect(hostOf(await ask(url(), { session }))).toBe("e2e-gw-b");
    await fleet.must(["fleet", "gateway", "undrain", "e2e-gw-a", ...inventory]);
    expect(await status()).toMatch(/^model:coder +e2e-gw-a +UP/m);
  });

  test("leaves the machine as it was when it is destroyed", async () => {
    await pulumi(["destroy", "--yes", "--skip-preview"]);
    await expect(send(url(), "/healthz", {})).rejects.toThrow();
    expect(difference(found, await fingerprint(machine))).toEqual([]);
  });
});
