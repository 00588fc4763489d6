/** What `pulumi up` generates for Codex, put in place by `lmstack codex install`, with the real Codex and the real proxy. */
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { projectRoot } from "../../infra/cli/pulumi.ts";
import { codexArtifacts } from "../../infra/codex/artifacts.ts";
import { parseHostSpec } from "../../infra/spec/parse.ts";
import type { ProxyConfigInput } from "../../infra/spec/proxy-config.ts";
import { type SimServer, startSimServer } from "../lmstudio-sim/index.ts";
import { startTestProxy, type TestProxy } from "../unit/proxy/harness.ts";

const model = "sim-thinker";
const key = "sk-codex-setup";
const contextLength = 32_768;

let sim: SimServer;
let keyed: TestProxy;
let open: TestProxy;
let folder: string;
let home: string;

beforeAll(async () => {
  sim = await startSimServer({ models: [{ id: model, parallel: 4, contextLength }] });
  const config: ProxyConfigInput = {
    upstream: sim.url,
    models: { [model]: { thinking: "off", contextLength } },
    heartbeatSeconds: 0.2,
  };
  const sha256 = createHash("sha256").update(key).digest("hex");
  keyed = await startTestProxy({ ...config, keys: [{ id: "setup", sha256, models: [model] }] });
  open = await startTestProxy(config);
  // Not in the system's folder for temporary files: Codex warns about a home there.
  await mkdir(join(projectRoot, ".lmstack"), { recursive: true });
  folder = await mkdtemp(join(projectRoot, ".lmstack", "codex-setup-"));
  // Stands where the stack's outputs come from.
  await mkdir(join(folder, "bin"));
  await writeFile(join(folder, "bin", "pulumi"), `#!/bin/sh\ncat '${folder}/outputs.json'\n`, { mode: 0o755 });
});
afterAll(async () => {
  await keyed?.[Symbol.asyncDispose]();
  await open?.[Symbol.asyncDispose]();
  await sim?.close();
  if (folder) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});
beforeEach(async () => {
  home = await mkdtemp(join(folder, "home "));
  await outputs(keyed.port, key);
});

const artifacts = (port: number, value: string | undefined, id = model) =>
  codexArtifacts(
    parseHostSpec({
      platform: "linux-cpu",
      connection: { local: true },
      models: [{ id, source: { path: "/models/m.gguf" }, load: { contextLength } }],
      proxy: { allowAnonymous: true },
      codex: { baseUrl: `http://127.0.0.1:${port}/v1` },
    }),
    value,
    "box",
  );
async function outputs(port: number, value: string | undefined, id = model): Promise<void> {
  const codex = Object.fromEntries(
    artifacts(port, value, id).map(({ name, content, mode }) => [name, { content, mode }]),
  );
  await writeFile(join(folder, "outputs.json"), JSON.stringify({ codex }));
}

const environment = (env: Record<string, string> = {}) => {
  const { HTTP_PROXY: _1, http_proxy: _2, NO_PROXY: _3, no_proxy: _4, CODEX_HOME: _5, ...rest } = process.env;
  const PATH = `${folder}/bin:${projectRoot}node_modules/.bin:/usr/bin:/bin`;
  return { ...rest, PATH, HOME: folder, LMSTACK_NODE: process.execPath, ...env };
};
const lmstack = async (args: string[], env: Record<string, string> = {}) => {
  const run = await execa(
    process.execPath,
    [join(projectRoot, "infra/cli/lmstack.ts"), "codex", ...args, "--codex-home", home],
    { env: environment(env), extendEnv: false, reject: false, stdin: "ignore", timeout: 100_000 },
  );
  return { code: run.exitCode, out: run.stdout, err: run.stderr };
};
const launch = (file: string, args: string[]) =>
  execa(file, args, {
    cwd: folder,
    env: environment(),
    extendEnv: false,
    reject: false,
    stdin: "ignore",
    timeout: 60_000,
  });

describe("the generated files", () => {
  it.each([
    ["with a key, the catalog as the proxy serves it", key],
    ["without one, the catalog from the file", undefined],
  ])("are what Codex accepts at its strictest: %s", async (_name, value) => {
    await outputs((value === undefined ? open : keyed).port, value);
    expect(await lmstack(["install", "--yes"])).toMatchObject({ code: 0 });
    // Also through a link, from a folder that is not trusted.
    await symlink(join(home, "codex-box"), join(home, "started"));
    const args = ["--strict-config", "exec", "--skip-git-repo-check", "sim:steps=1 run the step"];
    const { exitCode, stdout, stderr } = await launch(join(home, "started"), args);
    expect(exitCode, stderr).toBe(0);
    expect(stdout).toContain("Done in 1 step. The last command printed: lmstack-step-1");
    expect(stderr).not.toMatch(/Model metadata|unsupported call|ignored/);
  });

  it("give Codex the real window, compaction below it, and apply_patch, the same from the file as from the proxy", async () => {
    const entries = async () => {
      const all = ["debug", "models"];
      const env = { ...environment(), CODEX_HOME: home, LMS_API_KEY: key };
      const { stdout } = await execa("codex", all, { env, extendEnv: false });
      return (JSON.parse(stdout) as { models: Record<string, unknown>[] }).models;
    };
    await lmstack(["install", "--yes"]);
    const profile = await readFile(join(home, "box.config.toml"), "utf8");
    await writeFile(join(home, "config.toml"), profile);
    const served = await entries();
    expect(served.find(({ slug }) => slug === model)).toMatchObject({
      context_window: contextLength,
      auto_compact_token_limit: 24_576,
      apply_patch_tool_type: "freeform",
      input_modalities: ["text"],
      supported_reasoning_levels: [],
    });
    const own = served.filter(({ slug }) => String(slug).startsWith(model));
    expect(own.map(({ slug }) => slug)).toEqual([model, `${model}:think`, `${model}:no-think`]);
    await writeFile(join(home, "config.toml"), `model_catalog_json = "box.catalog.json"\n${profile}`);
    const fromFile = await entries();
    const [first, last] = [0, 2].map((index) => fromFile[index]);
    expect(first).toEqual(own[0]);
    expect(last).toEqual(own[2]);
  });
});

describe("codex install", () => {
  it("shows what changes without the key, and changes nothing on --dry-run or without a word", async () => {
    const dry = await lmstack(["install", "--dry-run"]);
    expect(dry.code).toBe(0);
    expect(dry.out).toContain("box.config.toml (new)");
    expect(dry.out).toContain(`+ model = "${model}"`);
    expect(dry.out).not.toContain(key);
    const unasked = await lmstack(["install"]);
    expect(unasked).toMatchObject({ code: 1, err: expect.stringContaining("--yes") });
    expect(await readdir(home)).toEqual([]);
  });

  it("keeps what the user wrote, keeps the key to the user, says nothing the second time, and can be undone", async () => {
    const mine = '# mine\npersonality = "pragmatic"\n\n[tui]\nnotifications = false # quiet\n';
    await writeFile(join(home, "box.config.toml"), mine);
    await writeFile(join(home, "config.toml"), 'model = "untouched"\n');
    const first = await lmstack(["install", "--yes", "--json"]);
    expect(JSON.parse(first.out)).toMatchObject({
      applied: true,
      changes: [{ file: "box.config.toml", action: "change" }, {}, {}, {}],
    });
    expect(await readFile(join(home, "box.config.toml"), "utf8")).toContain("notifications = false # quiet\n");
    for (const name of ["box.env", "box.lmstack.json"]) expect((await stat(join(home, name))).mode & 0o777).toBe(0o600);
    await chmod(join(home, "box.env"), 0o644);
    expect((await lmstack(["install"])).code).toBe(0);
    expect((await stat(join(home, "box.env"))).mode & 0o777).toBe(0o600);
    expect(await lmstack(["uninstall", "--yes"])).toMatchObject({ code: 0 });
    expect((await readdir(home)).sort()).toEqual(["box.config.toml", "config.toml"]);
    expect(await readFile(join(home, "box.config.toml"), "utf8")).toBe(mine);
    expect(await readFile(join(home, "config.toml"), "utf8")).toBe('model = "untouched"\n');
  });

  it("takes another name for the profile, which its files then carry throughout", async () => {
    await lmstack(["install", "--yes", "--profile", "other"]);
    const { exitCode, stderr } = await launch(join(home, "codex-other"), ["exec", "--skip-git-repo-check", "hello"]);
    expect(exitCode, stderr).toBe(0);
    expect((await lmstack(["install", "--yes", "--profile", "a.b"])).err).toContain("no name for a profile");
  });

  it.each([
    ["a selector of the old form", 'profile = "box"\n', /says profile = "box"/],
    ["a table of the old form", '[profiles.box]\nmodel = "x"\n', /\[profiles\.box\].*--profile OTHER-NAME/],
    [
      "a provider that is built in",
      '[model_providers.lmstudio]\nname = "x"\n',
      /\[model_providers\.lmstudio\].*rename/,
    ],
    ["no TOML", "model = \n", /config\.toml is not valid TOML/],
  ])("refuses beside a config.toml with %s, as Codex would", async (_name, text, words) => {
    await writeFile(join(home, "config.toml"), text);
    const { code, err } = await lmstack(["install", "--yes"]);
    expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(words) });
    expect(await readdir(home)).toEqual(["config.toml"]);
    // The real one does not start there either.
    const real = await execa(
      "codex",
      ["--profile", "box", "-c", "model_provider=lms", "exec", "--skip-git-repo-check", "x"],
      {
        env: { ...environment(), CODEX_HOME: home },
        extendEnv: false,
        reject: false,
        stdin: "ignore",
        timeout: 30_000,
      },
    );
    expect(real.exitCode).toBe(1);
  });
});

describe("codex check", () => {
  it("runs one real turn and says how long it took", async () => {
    await lmstack(["install", "--yes"]);
    const { code, out, err } = await lmstack(["check", "--json"]);
    expect(code, err + out).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ ok: true, codex: "0.169.0", profile: "box", model, notes: [] });
    // Nothing of the turn stays.
    expect(await readdir(home)).not.toContain("sessions");
  });

  const failing = async (change: () => Promise<unknown>, env: Record<string, string> = {}, args: string[] = []) => {
    await lmstack(["install", "--yes"]);
    await change();
    const { code, err } = await lmstack(["check", ...args], env);
    expect(code).toBe(1);
    return err;
  };

  it("explains a missing profile", async () => {
    expect(await failing(() => rm(join(home, "box.config.toml")))).toMatch(
      /box\.config\.toml is missing.*codex install/,
    );
    expect(await failing(async () => {}, {}, ["--profile", "none"])).toMatch(/none\.config\.toml is missing/);
  });

  it("explains a missing key and a wrong one", async () => {
    expect(await failing(() => writeFile(join(home, "box.env"), ""))).toMatch(/key is missing.*LMS_API_KEY/);
    const wrong = () => writeFile(join(home, "box.env"), "export LMS_API_KEY='sk-wrong-one'\n");
    expect(await failing(wrong)).toMatch(/does not know the key.*codex install/);
  });

  it("explains a host that does not answer", async () => {
    await outputs(1, key);
    expect(await failing(async () => {})).toMatch(/127\.0\.0\.1:1\/v1 cannot be reached from here/);
  });

  it("explains a model that is not there", async () => {
    await outputs(open.port, undefined, "another");
    expect(await failing(async () => {})).toMatch(/another is not among the models there: sim-thinker/);
  });

  it("explains a Codex that is not there, and one that cannot do it", async () => {
    const bare = join(home, "bare");
    await mkdir(bare);
    const PATH = `${bare}:/usr/bin:/bin`;
    expect(await failing(async () => {}, { PATH })).toMatch(
      /codex is not on PATH.*npm install --global @openai\/codex/,
    );
    const old =
      '#!/bin/sh\n[ "$1" = --version ] && echo codex-cli 0.87.0 && exit\necho "error: unexpected argument \'--profile\' found" >&2\nexit 2\n';
    await writeFile(join(bare, "codex"), old, { mode: 0o755 });
    expect(await failing(async () => {}, { PATH })).toMatch(
      /does not know.*0\.87\.0, older than 0\.169\.0.*npm install/s,
    );
  });

  it("explains HTTP_PROXY, which Codex follows even to this machine", async () => {
    const without = () => writeFile(join(home, "box.env"), `export LMS_API_KEY='${key}'\n`);
    const proxied = { HTTP_PROXY: "http://127.0.0.1:9" };
    expect(await failing(without, proxied, ["--timeout", "60"])).toMatch(
      /HTTP_PROXY=http:\/\/127\.0\.0\.1:9.*NO_PROXY/s,
    );
    // With the file as it is installed it is no trouble.
    await lmstack(["install", "--yes"]);
    expect(await lmstack(["check"], proxied)).toMatchObject({
      code: 0,
      err: expect.stringContaining("HTTP_PROXY is set"),
    });
  });
});
