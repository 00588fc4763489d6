/** `lmstack serve`: the old script's variables, one by one, and files that are there already. */
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { parse } from "yaml";
import { UsageFault } from "../../../infra/cli/fault.ts";
import { machineOf } from "../../../infra/cli/machine.ts";
import { type Machine, readServe, servedStack, stackName } from "../../../infra/cli/serve-plan.ts";
import type { HostSpec } from "../../../infra/spec/host-spec.ts";
import { defaultRepo } from "../../../infra/spec/model-names.ts";
import { parseHostSpec } from "../../../infra/spec/parse.ts";
import { hostKey } from "../infra/spec/example.ts";

const file = "Pulumi.box.yaml";
const gguf = "/models/Qwen3.6-27B-UD-Q4_K_XL.gguf";
const identifier = "Qwen3.6-27B";
const machine: Machine = {
  platform: "linux-cuda",
  connection: { host: "10.0.0.5", user: "gpu", hostKey, become: "sudo" },
  docker: true,
};

type Environment = Readonly<Record<string, string>>;
const wishOf = (environment: Environment) => readServe({ gguf, identifier }, environment, "gpu");
const served = (environment: Environment, before?: string) =>
  servedStack(before, file, wishOf(environment), before === undefined ? machine : undefined);
const specIn = (text: string): HostSpec => parseHostSpec(parse(text).config["lmstack:host"]);

/** What the script does with the variable, and where it is in the spec. Without any of them it does the first of each. */
const promises: readonly [
  variable: string,
  unset: unknown,
  given: string,
  then: unknown,
  of: (spec: HostSpec) => unknown,
][] = [
  ["MODEL_USER", "local", "me", "me", ({ models }) => models[0]?.publisher],
  ["MODEL_REPO", undefined, "qwen", "qwen", ({ models }) => models[0]?.repo],
  ["LMS_IMPORT_MODE", "symlink", "hard-link", "hard-link", ({ models }) => models[0]?.import],
  ["LMS_IMPORT_MODE", "symlink", "copy", "copy", ({ models }) => models[0]?.import],
  ["LMS_IMPORT_MODE", "symlink", "move", "move", ({ models }) => models[0]?.import],
  ["LMS_BIND", "0.0.0.0", "127.0.0.1", "127.0.0.1", ({ proxy }) => proxy.bind],
  ["LMS_PORT", 8080, "9090", 9090, ({ proxy }) => proxy.port],
  ["LMS_DISABLE_THINKING", "off", "0", "on", ({ models }) => models[0]?.thinking],
  ["LMS_DISABLE_THINKING", "off", "1", "off", ({ models }) => models[0]?.thinking],
  ["LMS_BACKEND_PORT", 8081, "9091", 9091, ({ lmstudio }) => lmstudio.backendPort],
  ["LMS_GPU", "max", "off", "off", ({ models }) => models[0]?.load.gpu],
  ["LMS_GPU", "max", "0.5", 0.5, ({ models }) => models[0]?.load.gpu],
  ["LMS_CONTEXT_LENGTH", 200_000, "32768", 32_768, ({ models }) => models[0]?.load.contextLength],
  ["LMS_PARALLEL", 2, "4", 4, ({ models }) => models[0]?.load.parallel],
  ["LMSTUDIO_HOME", undefined, "/home/llm/.lmstudio/", "llm", ({ lmstudio }) => lmstudio.user],
  ["LMSTUDIO_HOME", undefined, "/home/gpu/.lmstudio", undefined, ({ lmstudio }) => lmstudio.user],
];

describe("serve with the old script's variables", () => {
  test.each(promises)("%s: %s without, %s gives %s", (variable, unset, given, then, of) => {
    expect(of(specIn(served({})))).toEqual(unset);
    expect(of(specIn(served({ [variable]: "" }))), "as the script read it, empty is not set").toEqual(unset);
    expect(of(specIn(served({ [variable]: given })))).toEqual(then);
  });

  it("serves the file under the name, reachable for everybody without a key, as the script did", () => {
    const spec = specIn(served({}));
    expect(spec.models).toMatchObject([{ id: identifier, source: { path: gguf } }]);
    expect(spec.proxy).toMatchObject({ keys: [], allowAnonymous: true });
    expect(spec).toMatchObject({ platform: "linux-cuda", connection: { host: "10.0.0.5" } });
    expect(specIn(served({ LMS_BIND: "127.0.0.1" })).proxy.allowAnonymous).toBe(false);
  });

  it.each([
    ["model.Q4_K.gguf", "model"],
    ["Qwen3.6-27B-UD-Q4_K_XL.gguf", "Qwen3.6-27B-UD-Q4_K_XL"],
    ["a.b.gguf", "a.b"],
  ])("keeps %s below %s when MODEL_REPO is not set", (name, repo) => {
    expect(defaultRepo(name)).toBe(repo);
  });

  it.each([
    [{ LMS_PORT: "80a" }, /LMS_PORT \(proxy\.port\): found "80a".*correct LMS_PORT/],
    [{ LMS_PORT: "70000" }, /LMS_PORT .*at most 65535/],
    [{ LMS_PORT: "8081" }, /two different ports/],
    [{ LMS_BACKEND_PORT: "x" }, /LMS_BACKEND_PORT \(lmstudio\.backendPort\)/],
    [{ LMS_IMPORT_MODE: "link" }, /LMS_IMPORT_MODE .*symlink, hard-link, copy, move/],
    [{ LMS_GPU: "most" }, /LMS_GPU .*max, off, or a share/],
    [{ LMS_GPU: "2" }, /LMS_GPU /],
    [{ LMS_CONTEXT_LENGTH: "8" }, /LMS_CONTEXT_LENGTH .*at least 256/],
    [{ LMS_PARALLEL: "0" }, /LMS_PARALLEL .*at least 1/],
    [{ LMS_DISABLE_THINKING: "no" }, /LMS_DISABLE_THINKING: found "no"; expected 1 .* or 0/],
    [{ LMSTUDIO_HOME: "/opt/lm" }, /LMSTUDIO_HOME: found "\/opt\/lm"/],
    [{ MODEL_USER: "a/b" }, /MODEL_USER /],
    [{ MODEL_REPO: "a/b" }, /MODEL_REPO /],
  ])("refuses %o by the variable's name", (environment, words) => {
    const attempt = () => served(environment);
    expect(attempt).toThrow(words);
    expect(attempt).toThrow(UsageFault);
  });
});

describe("serve on a stack that has a file", () => {
  it("changes not a byte when it is called again", () => {
    const setting = fc.constantFrom(...promises.map(([variable, , given]) => ({ [variable]: given })));
    const environments = fc.array(setting).map((all) => Object.assign({}, ...all) as Environment);
    fc.assert(
      fc.property(environments, (environment) => {
        const first = served(environment);
        expect(served(environment, first)).toBe(first);
        expect(served({}, first)).toBe(first);
      }),
    );
  });

  it("keeps comments, other models, keys and what was edited by hand", () => {
    const before = served({ LMS_PORT: "9090" })
      .replace("contextLength: 200000", "contextLength: 65536")
      .replace("allowAnonymous: true", "keys: [team-a] # ours")
      .replace(
        "    models:",
        "    # loaded in this order\n    models:\n      - id: other\n        source: {path: /models/other.gguf}",
      );
    const after = served({ LMS_PARALLEL: "4" }, before);
    expect(after).toBe(before.replace("parallel: 2", "parallel: 4"));
    const spec = specIn(after);
    expect(spec.models.map(({ id }) => id)).toEqual(["other", identifier]);
    expect(spec.proxy).toMatchObject({ port: 9090, allowAnonymous: false, keys: [{ id: "team-a" }] });
  });

  it("adds a second model behind the first, as the script left loaded what was loaded", () => {
    const first = served({});
    const wish = readServe({ gguf: "/models/b.gguf", identifier: "b" }, {}, "gpu");
    expect(specIn(servedStack(first, file, wish, undefined)).models.map(({ id }) => id)).toEqual([identifier, "b"]);
  });

  it("forgets the digest of the file that was served under the name before", () => {
    const digest = `        sha256: ${"a".repeat(64)}\n`;
    const before = served({}).replace("        thinking: off\n", `$&${digest}`);
    expect(served({}, before)).toBe(before);
    const wish = readServe({ gguf: "/models/new.gguf", identifier }, {}, "gpu");
    const after = servedStack(before, file, wish, undefined);
    expect(after).toBe(before.replace(digest, "").replace(gguf, "/models/new.gguf"));
  });

  it("fills in what a file does not say, and leaves its key for secrets alone", () => {
    const before = `encryptionsalt: v1:abc\nconfig:\n  lmstack:host:\n    lmstudio: {version: 0.0.24-1}\n`;
    const after = servedStack(before, file, wishOf({}), machine);
    expect(after).toContain("encryptionsalt: v1:abc\n");
    expect(specIn(after).lmstudio.version).toBe("0.0.24-1");
    expect(specIn(after).connection).toMatchObject({ host: "10.0.0.5" });
  });

  it("never opens what somebody closed", () => {
    const closed = served({}).replace("allowAnonymous: true", "allowAnonymous: false");
    expect(() => served({}, closed)).toThrow(/proxy\.bind.*keys/);
  });

  it("says so when the file is no YAML", () => {
    expect(() => served({}, "config: {a: [}")).toThrow(/Pulumi\.box\.yaml is not valid YAML/);
  });
});

describe("the machine of a new stack", () => {
  const answer = (found: Record<string, string>) =>
    machineOf(
      Object.entries({ system: "Linux", gpu: "yes", systemd: "yes", docker: "yes", root: "yes", ...found })
        .map(([key, value]) => `${key}=${value}\n`)
        .join(""),
      { local: true },
    );

  it("is told from what answers there", () => {
    expect(answer({})).toEqual({ platform: "linux-cuda", connection: { local: true, become: "sudo" }, docker: true });
    expect(answer({ systemd: "no" }).connection, "nothing to become root for").toMatchObject({ become: "none" });
    expect(answer({ gpu: "no" }).platform).toBe("linux-cpu");
    expect(answer({ system: "Darwin", gpu: "no", systemd: "no", docker: "no" })).toMatchObject({
      platform: "macos-metal",
      connection: { become: "sudo" },
    });
  });

  it("needs neither sudo nor Docker: then everything is the user's own, and the proxy no container", () => {
    const poor = answer({ root: "no", docker: "no" });
    const spec = specIn(servedStack(undefined, file, wishOf({}), poor));
    expect(spec.connection.become).toBe("none");
    expect(spec.proxy.runtime).toBe("native");
  });

  it("gives the stack a name that Codex takes for a profile", () => {
    expect(stackName(undefined)).toBe("local");
    expect(stackName("10.0.0.5")).toBe("10-0-0-5");
    fc.assert(
      fc.property(fc.string(), (host) => {
        expect(stackName(host)).toMatch(/^[A-Za-z0-9][A-Za-z0-9-]*$/);
      }),
    );
  });
});
