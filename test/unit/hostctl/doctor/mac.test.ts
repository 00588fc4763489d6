import { mkdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { doctor } from "../../../../hostctl/doctor/doctor.ts";
import { type MacFacts, macFindings } from "../../../../hostctl/doctor/mac.ts";
import { parseFileVault, parseFirewallApps, parsePmset } from "../../../../hostctl/doctor/mac-facts.ts";
import type { DoctorDocument } from "../../../../infra/spec/host-documents.ts";
import { Mac } from "../../../mac-sim/mac.ts";

const document: DoctorDocument = {
  stack: "studio",
  become: "sudo",
  platform: "macos-metal",
  listen: { host: "0.0.0.0", port: 8080 },
  modelPaths: [],
};
const good: MacFacts = {
  user: "g",
  node: "/Users/g & p/.lmstack/runtime/node",
  systemVersion: "15.6.1",
  fileVault: false,
  power: { sleep: 0, autorestart: 1 },
  memoryBytes: 128 * 2 ** 30,
  wiredLimitMb: 0,
  firewall: 0,
  firewallApps: new Map(),
  autoLoginUser: null,
  models: [{ path: "/Users/Shared/models/m.gguf", bytes: 20 * 2 ** 30 }],
};
const model = (path: string, gib = 1) => ({ models: [{ path, bytes: gib * 2 ** 30 }] });
const agent: Partial<DoctorDocument> = { become: "none" };

describe("an unattended Mac", () => {
  test("that is well kept has nothing to put right", () => {
    expect(macFindings(good, document).filter(({ verdict }) => verdict !== "ok")).toEqual([]);
  });

  test.each([
    ["macos", "problem", { systemVersion: "13.6" }, {}, /13\.6.*14\.0 or newer/, /softwareupdate/],
    ["filevault", "problem", { fileVault: true }, {}, /waits for a password/, /fdesetup disable/],
    ["sleep", "problem", { power: { sleep: 10 } }, {}, /sleeps after 10 minutes/, /pmset -a sleep 0/],
    ["power-failure", "warning", { power: { sleep: 0, autorestart: 0 } }, {}, /stays off/, /autorestart 1/],
    [
      "model-volume",
      "warning",
      model("/Volumes/Big Disk/m.gguf"),
      {},
      /Big Disk.*logs in/,
      /AutomountDisksWithoutUserLogin/,
    ],
    ["model-volume", "problem", model("/Users/g/Documents/m.gguf"), {}, /guards/, /Full Disk Access/],
    [
      "gpu-memory",
      "problem",
      model("/m.gguf", 100),
      {},
      /96\.0 GiB of 128\.0 GiB.*110\.0 GiB/,
      /wired_limit_mb=112640/,
    ],
    ["gpu-memory", "problem", model("/m.gguf", 120), {}, /more than this Mac has/, /fewer models/],
    ["gpu-memory", "warning", { wiredLimitMb: 126 * 1024 }, {}, /leaves macOS too little/, /wired_limit_mb=0/],
    ["firewall", "problem", { firewall: 2 }, {}, /every incoming connection.*8080/, /setblockall off/],
    ["firewall", "problem", { firewall: 1 }, {}, /no rule for/, /--add '\/Users\/g & p\/.lmstack\/runtime\/node'/],
    ["firewall", "problem", { firewall: 1, firewallApps: new Map([[good.node, "block"]]) }, {}, /blocks/, /unblockapp/],
    ["auto-login", "problem", {}, agent, /nobody is logged in at boot/, /become: sudo/],
    ["auto-login", "problem", { autoLoginUser: "h" }, agent, /h is, not g,/, /Automatically log in/],
    ["local-network", "warning", { autoLoginUser: "g" }, agent, /over SSH proves nothing/, /Local Network/],
  ] as const)("is told of %s (%s) with what puts it right", (check, verdict, facts, changes, words, fix) => {
    const found = macFindings({ ...good, ...facts } as MacFacts, { ...document, ...changes });
    const finding = found.find((one) => one.check === check && one.verdict !== "ok");
    expect(finding).toMatchObject({ verdict, words: expect.stringMatching(words), fix: expect.stringMatching(fix) });
  });

  test.each([
    ["firewall", { firewall: 1, firewallApps: new Map([[good.node, "allow"]]) }, {}],
    ["firewall", { firewall: 2 }, { listen: { host: "127.0.0.1", port: 8080 } }],
    ["auto-login", { autoLoginUser: "g" }, agent],
    ["local-network", { systemVersion: "14.5" }, agent],
    ["gpu-memory", { wiredLimitMb: 112640, ...model("/m.gguf", 100) }, {}],
  ] as const)("is not blamed for %s without a reason", (check, facts, changes) => {
    const found = macFindings({ ...good, ...facts } as MacFacts, { ...document, ...changes });
    expect(found.find((one) => one.check === check)?.verdict).toBe("ok");
  });

  test("gets a fix with everything that is wrong, and one only then, whatever its tools say", () => {
    const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary);
    const facts = fc.record({
      user: fc.constant("g"),
      node: fc.constant("/n"),
      systemVersion: maybe(fc.stringMatching(/^1[0-9]\.[0-9]$/)),
      fileVault: maybe(fc.boolean()),
      power: fc.record({ sleep: fc.nat(60), autorestart: fc.nat(1) }, { requiredKeys: [] }),
      memoryBytes: maybe(fc.integer({ min: 8, max: 512 }).map((gib) => gib * 2 ** 30)),
      wiredLimitMb: maybe(fc.nat(600_000)),
      firewall: maybe(fc.constantFrom(0, 1, 2)),
      firewallApps: fc.constant(new Map()),
      autoLoginUser: maybe(fc.constantFrom("g", "h")),
      models: fc.array(fc.record({ path: fc.constantFrom("/m", "/Volumes/x/m"), bytes: maybe(fc.nat(2 ** 38)) })),
    });
    fc.assert(
      fc.property(facts, fc.constantFrom("sudo" as const, "none" as const), (found, become) => {
        for (const { verdict, fix, words } of macFindings(found, { ...document, become })) {
          expect(fix !== undefined).toBe(verdict === "problem" || verdict === "warning");
          expect(words).not.toMatch(/undefined|NaN|null|Infinity/);
        }
      }),
    );
  });
});

describe("what a Mac's tools print", () => {
  test("is read as they print it", () => {
    expect(parseFileVault("FileVault is On.\nEncryption in progress: Percent completed = 12\n")).toBe(true);
    expect(parseFileVault("FileVault is Off.\n")).toBe(false);
    expect(parseFileVault("fdesetup: Error\n")).toBeNull();
    const pmset =
      "System-wide power settings:\n SleepDisabled\t\t0\nCurrently in use:\n sleep                1 (sleep prevented by coreaudiod, powerd)\n Sleep On Power Button 1\n hibernatefile        /var/vm/sleepimage\n autorestart          0\n";
    expect(parsePmset(pmset)).toMatchObject({ sleep: 1, "Sleep On Power Button": 1, autorestart: 0, SleepDisabled: 0 });
    const apps =
      "Total number of apps = 2 \n1 : /Users/g & p/node \n             (Allow incoming connections)\n\n2 : /Applications/X.app\n( Block incoming connections )\n";
    expect([...parseFirewallApps(apps)]).toEqual([
      ["/Users/g & p/node", "allow"],
      ["/Applications/X.app", "block"],
    ]);
  });
});

describe("hostctl doctor on a Mac", () => {
  let mac: Mac;
  afterEach(async () => {
    vi.unstubAllEnvs();
    await mac[Symbol.asyncDispose]();
  });
  const verdicts = async (modelPaths: readonly string[] = []) => {
    vi.stubEnv("PATH", mac.path);
    const { findings } = await doctor(mac.host, { ...document, modelPaths });
    return Object.fromEntries(findings.map(({ check, verdict }) => [check, verdict]));
  };

  test("asks its tools, without root, and finds a well kept one well", async () => {
    mac = await Mac.make();
    const found = await verdicts();
    expect(Object.keys(found)).toEqual(["macos", "filevault", "sleep", "power-failure", "gpu-memory", "firewall"]);
    expect(new Set(Object.values(found))).toEqual(new Set(["ok"]));
    expect(mac.asRoot).toEqual([]);
  });

  test("finds what is wrong, a model that is too large for the GPU by its file", async () => {
    mac = await Mac.make({
      state: { fileVault: true, power: { sleep: "1", autorestart: "0" }, firewall: { state: 1, apps: {} } },
    });
    const path = join(mac.home, "models", "big & wide.gguf");
    await mkdir(join(mac.home, "models"));
    await writeFile(path, "GGUF");
    await truncate(path, 100 * 2 ** 30);
    // A file, and a folder as MLX models are.
    expect(await verdicts([join(mac.home, "models")])).toMatchObject({ "gpu-memory": "problem" });
    expect(await verdicts([path])).toMatchObject({
      filevault: "problem",
      sleep: "problem",
      "power-failure": "warning",
      "gpu-memory": "problem",
      firewall: "problem",
    });
  });

  test("says that it does not know where a tool fails", async () => {
    mac = await Mac.make({ state: { sysctl: {}, power: {} } });
    expect(await verdicts()).toMatchObject({ "gpu-memory": "unknown", sleep: "unknown" });
  });
});
