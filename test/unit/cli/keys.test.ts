/** `lmstack keys` with the real engine, on a stack in a folder of its own. */
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { stringify } from "yaml";
import { add, list, revoke } from "../../../infra/cli/keys.ts";
import { projectRoot } from "../../../infra/cli/pulumi.ts";
import { exampleSpec } from "../infra/spec/example.ts";

const stack = "box";
let folder: string;
let engine: string;
let file: string;
let start: string;

/** Stands in front of the engine: notes the arguments of each call, then does what a test wants after it. */
async function pulumiThen(after = ""): Promise<void> {
  const path = join(folder, "bin", "pulumi");
  await writeFile(path, `#!/bin/sh\necho "$@" >>'${folder}/arguments'\n'${engine}' "$@" || exit\n${after}\n`);
  await chmod(path, 0o755);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstack-cli-"));
  file = join(folder, `Pulumi.${stack}.yaml`);
  for (const name of ["state", "bin"]) await mkdir(join(folder, name));
  await copyFile(join(projectRoot, "Pulumi.yaml"), join(folder, "Pulumi.yaml"));
  const script = join(projectRoot, "infra/setup/run.mjs");
  const { stdout } = await execa(process.execPath, [script, "--print-env"]);
  const { stdout: values } = await execa("sh", [
    "-c",
    `${stdout}\ncommand -v pulumi\nprintf '%s\\n' "$PULUMI_HOME" "$PATH"`,
  ]);
  const [found = "", home = "", path = ""] = values.split("\n").slice(-3);
  engine = found;
  vi.stubEnv("PULUMI_HOME", home);
  vi.stubEnv("PULUMI_BACKEND_URL", `file://${folder}/state`);
  vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "of-the-test");
  vi.stubEnv("PULUMI_SKIP_UPDATE_CHECK", "true");
  vi.stubEnv("LMSTACK_NODE", process.execPath);
  vi.stubEnv("PATH", `${folder}/bin:${path}`);
  await pulumiThen();
  await execa("pulumi", ["stack", "init", stack], { cwd: folder });
  start = `${await readFile(file, "utf8")}${stringify({
    config: {
      "lmstack:host": exampleSpec((s) => {
        s.proxy.keys = [];
        s.proxy.bind = "127.0.0.1";
      }),
    },
  })}`;
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

let printed: string[];
let said: string[];
beforeEach(async () => {
  printed = [];
  said = [];
  vi.spyOn(console, "log").mockImplementation((line) => void printed.push(String(line)));
  vi.spyOn(console, "error").mockImplementation((line) => void said.push(String(line)));
  await pulumiThen();
  await writeFile(file, start);
});

const pulumi = async (...args: string[]) =>
  (await execa("pulumi", [...args, "--stack", stack], { cwd: folder })).stdout;
const listing = async () => {
  printed.length = 0;
  await list({ stack, json: true }, folder);
  return JSON.parse(printed[0] as string) as { id: string; secret: boolean }[];
};

describe("keys add", () => {
  it("prints the key once, stores it as a secret, names it in the spec, and says what comes next", async () => {
    await add("me", { stack, models: "Qwen3.6-27B", expires: "30d" }, folder);
    expect(printed).toEqual([expect.stringMatching(/^sk-lmstack-[A-Za-z0-9]{32}$/)]);
    expect(said.join("\n")).toContain("npx lmstack up --stack box");
    const key = printed[0] as string;
    expect(await pulumi("config", "get", "lmstack:secret.me")).toBe(key);
    expect(await listing()).toMatchObject([{ id: "me", models: ["Qwen3.6-27B"], secret: true }]);
    const text = await readFile(file, "utf8");
    expect(text).not.toContain(key);
    expect(text).toMatch(/lmstack:secret\.me:\n\s+secure: v1:/);
    expect(JSON.parse(await pulumi("config", "--json"))["lmstack:host"].objectValue.proxy.keys[0].expires).toMatch(
      /T.*Z$/,
    );
  });

  it("never puts the key among a program's arguments, and leaves nothing beside the file", async () => {
    await rm(join(folder, "arguments"), { force: true });
    await add("me", { stack, json: true }, folder);
    const { key } = JSON.parse(printed[0] as string) as { key: string };
    const called = await readFile(join(folder, "arguments"), "utf8");
    expect(called).toContain("config set --secret lmstack:secret.me");
    expect(called).not.toContain(key);
    expect((await readdir(folder)).filter((name) => name.startsWith("Pulumi.")).sort()).toEqual([
      "Pulumi.box.yaml",
      "Pulumi.yaml",
    ]);
  });

  it("takes the selected stack when none is named", async () => {
    await pulumi("stack", "select");
    await add("me", {}, folder);
    expect((await listing()).map(({ id }) => id)).toEqual(["me"]);
  });

  it("refuses a name that is taken and changes nothing", async () => {
    await add("me", { stack }, folder);
    const before = await readFile(file, "utf8");
    await expect(add("me", { stack }, folder)).rejects.toThrow(/has a key me already/);
    expect(await readFile(file, "utf8")).toBe(before);
  });

  it("never writes over a secret that somebody set, and says how to go on", async () => {
    await execa("pulumi", ["config", "set", "--secret", "lmstack:secret.me", "--stack", stack], {
      cwd: folder,
      input: "by-hand-1",
    });
    await expect(add("me", { stack }, folder)).rejects.toThrow(/secret lmstack:secret\.me already.*keys revoke me/s);
    expect(await pulumi("config", "get", "lmstack:secret.me")).toBe("by-hand-1");
  });

  it("killed between secret and entry leaves a stack that is as good as before, and revoke clears up", async () => {
    await pulumiThen("kill -9 $PPID");
    const call = `const { add } = await import(${JSON.stringify(join(projectRoot, "infra/cli/keys.ts"))}); await add("me", { stack: "box" }, ${JSON.stringify(folder)});`;
    const { signal, stdout } = await execa(process.execPath, ["--input-type=module", "-e", call], { reject: false });
    expect(signal).toBe("SIGKILL");
    expect(stdout).toBe("");
    await pulumiThen();
    expect(await listing()).toEqual([]);
    await expect(add("me", { stack }, folder)).rejects.toThrow(/cut short.*revoke me/s);
    await revoke("me", { stack }, folder);
    await add("me", { stack }, folder);
    expect(await listing()).toMatchObject([{ id: "me", secret: true }]);
  });

  it("that cannot write its entry says what is there and how to go on", async () => {
    await pulumiThen(`printf 'config: [' >'${file}'`);
    await expect(add("me", { stack }, folder)).rejects.toThrow(
      /secret lmstack:secret\.me is stored.*not valid YAML.*keys revoke me/s,
    );
    expect(printed).toEqual([]);
  });

  it("that the engine refuses changes nothing", async () => {
    vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "another");
    await expect(add("me", { stack }, folder)).rejects.toThrow(/pulumi config set.*passphrase/s);
    vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "of-the-test");
    expect(await readFile(file, "utf8")).toBe(start);
    expect(printed).toEqual([]);
  });
});

describe("keys revoke", () => {
  it("takes entry and secret away, and says that the host knows it until the next up", async () => {
    await add("me", { stack }, folder);
    await add("you", { stack, admin: true }, folder);
    said.length = 0;
    await revoke("me", { stack }, folder);
    expect(said.join("\n")).toMatch(/until: npx lmstack up --stack box/);
    expect(await listing()).toMatchObject([{ id: "you", admin: true, secret: true }]);
    await expect(
      execa("pulumi", ["config", "get", "lmstack:secret.me", "--stack", stack], { cwd: folder }),
    ).rejects.toThrow(/not found/);
  });

  it("cut short is finished by the same command", async () => {
    await add("me", { stack }, folder);
    vi.stubEnv("PULUMI_BACKEND_URL", `file://${folder}/nowhere`);
    await expect(revoke("me", { stack }, folder)).rejects.toThrow(/no longer named.*run this again/s);
    vi.stubEnv("PULUMI_BACKEND_URL", `file://${folder}/state`);
    await revoke("me", { stack }, folder);
    await expect(revoke("me", { stack }, folder)).rejects.toThrow(/has no key me; it has none/);
  });

  it("of the last key of an open endpoint warns that the stack will be refused", async () => {
    await writeFile(file, start.replace("127.0.0.1", "0.0.0.0"));
    await add("me", { stack }, folder);
    await revoke("me", { stack }, folder);
    expect(said.at(-1)).toMatch(/last one.*allowAnonymous/s);
  });
});

describe("keys list", () => {
  it("shows what each key allows, what has ended and what has no value, and never a value", async () => {
    await writeFile(
      file,
      start.replace("keys: []", 'keys: [{id: old, expires: "2020-01-01T00:00:00Z", requestsPerMinute: 5}, by-hand]'),
    );
    await add("me", { stack, admin: true }, folder);
    const [key = ""] = printed.splice(0);
    await list({ stack }, folder);
    const text = printed.join("\n");
    expect(text).toMatch(/^NAME\s+MODELS\s+PER MINUTE\s+EXPIRES/);
    expect(text).toMatch(/old\s+\*\s+5\s+2020-01-01T00:00:00Z\s+expired, no value/);
    expect(text).toMatch(/by-hand\s+\*\s+-\s+never\s+no value: pulumi config set --secret lmstack:secret\.by-hand/);
    expect(text).toMatch(/me\s+\*\s+-\s+never\s+admin$/m);
    expect(text).not.toContain(key);
  });

  it("of a stack that is not there says how to name one", async () => {
    await expect(list({ stack: "none" }, folder)).rejects.toThrow(
      /Pulumi\.none\.yaml cannot be read \(ENOENT\).*--stack/,
    );
  });
});
