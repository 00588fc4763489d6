// What `local.Command` does, line by line, on the stand-in; with LMSTACK_COMMAND_PLUGIN set to the official plugin's binary
// the same promises are checked on that one.

import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { isSecret, PluginClient, type Properties, secret, UNKNOWN } from "./plugin-client.ts";

const official = process.env.LMSTACK_COMMAND_PLUGIN;
const root = fileURLToPath(new URL("../../..", import.meta.url));
const standIn = [join(root, "node_modules/.bin/node"), join(root, "test/engine/pulumi-resource-command/main.ts")];

let plugin: PluginClient;
let folder: string;

const startPlugin = (): Promise<PluginClient> =>
  PluginClient.start(official === undefined ? standIn : [official], { cwd: folder, env: { FROM_ENGINE: "yes" } });
const stdoutOf = async (inputs: Properties): Promise<unknown> => (await plugin.create(inputs)).properties.stdout;
const errorOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "it succeeded",
    (error: Error) => error.message,
  );

beforeAll(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "lmstack-command-")));
  plugin = await startPlugin();
});
beforeEach(() => void plugin.logged.splice(0));
afterAll(async () => {
  await plugin[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test("it is version 1.2.1", async () => {
  expect(await plugin.pluginVersion()).toBe("1.2.1");
});

test("create runs with /bin/sh in the plugin's folder and keeps both streams, each less one final newline", async () => {
  const { id, properties } = await plugin.create({ create: "pwd; printf 'a\\n\\n'; printf 'b\\n' >&2" });
  expect(id).toMatch(/^command[0-9a-f]{8}$/);
  expect(properties.stdout).toBe(`${folder}\na\n`);
  expect(properties.stderr).toBe("b");
});

test("without create text nothing runs and the outputs are empty", async () => {
  const { properties } = await plugin.create({ delete: "true" });
  expect(properties).toMatchObject({ stdout: "", stderr: "" });
});

test("dir, interpreter and environment are honoured, on top of the engine's own environment", async () => {
  expect(await stdoutOf({ create: "pwd", dir: "/" })).toBe("/");
  expect(await stdoutOf({ create: "console.log(6 * 7)", interpreter: [process.execPath, "-e"] })).toBe("42");
  expect(await stdoutOf({ create: "echo $A $FROM_ENGINE", environment: { A: "1" } })).toBe("1 yes");
  expect(await stdoutOf({ create: "echo $FROM_ENGINE", environment: { FROM_ENGINE: "mine" } })).toBe("mine");
});

test("stdin reaches the command whole; without stdin it reads nothing; an unread stdin is no error", async () => {
  const large = "x".repeat(3_000_000);
  expect(await stdoutOf({ create: "wc -c", stdin: large })).toMatch(/3000000/);
  expect(await stdoutOf({ create: "cat; echo end" })).toBe("end");
  expect(await stdoutOf({ create: "true", stdin: large })).toBe("");
});

test("update runs the update text, and the create text where there is none", async () => {
  const state = { create: "a", stdout: "old", stderr: "" };
  const both = await plugin.update(state, { create: "a" }, { create: "echo create", update: "echo update" });
  expect(both).toMatchObject({ create: "echo create", update: "echo update", stdout: "update" });
  expect(await plugin.update(state, { create: "a" }, { create: "echo create" })).toMatchObject({ stdout: "create" });
});

test("an update without any text keeps the old outputs", async () => {
  const state = { delete: "a", stdout: "out", stderr: "err" };
  expect(await plugin.update(state, { delete: "a" }, { delete: "b" })).toEqual({ ...state, delete: "b" });
});

test("the previous output is in the environment of an update, over what the inputs say, and never of a create", async () => {
  const state = { create: "a", stdout: "old", stderr: "" };
  // biome-ignore lint/suspicious/noTemplateCurlyInString: for the shell
  const text = "echo $PULUMI_COMMAND_STDOUT,${PULUMI_COMMAND_STDERR-unset}";
  expect(await plugin.update(state, {}, { create: text })).toMatchObject({ stdout: "old,unset" });
  const environment = { PULUMI_COMMAND_STDOUT: "mine" };
  expect(await plugin.update(state, {}, { create: text, environment })).toMatchObject({ stdout: "old,unset" });
  expect(await stdoutOf({ create: text })).toBe(",unset");
});

test("addPreviousOutputInEnv: false keeps the previous output away", async () => {
  const news = { create: "echo [$PULUMI_COMMAND_STDOUT]", addPreviousOutputInEnv: false };
  expect(await plugin.update({ create: "a", stdout: "old", stderr: "" }, {}, news)).toMatchObject({ stdout: "[]" });
});

test("delete runs with text, stdin, folder and outputs from the state, whatever the inputs say now", async () => {
  const file = join(folder, "deleted");
  const text = `{ cat; echo; pwd; echo $PULUMI_COMMAND_STDOUT; } > ${file}`;
  const state = { create: "a", delete: text, stdin: "from state", dir: "/", stdout: "out", stderr: "" };
  await plugin.delete(state, { create: "a", stdin: "from inputs" });
  expect(readFileSync(file, "utf8")).toBe("from state\n/\nout\n");
});

test("delete without text does nothing; a failing one fails", async () => {
  await plugin.delete({ create: "a", stdout: "", stderr: "" }, { create: "a" });
  expect(await errorOf(plugin.delete({ delete: "exit 4", stdout: "", stderr: "" }, {}))).toContain("exit status 4");
});

test("a failure tells the status, the quoted command and everything that was printed, stdout and stderr", async () => {
  const text = "echo out; sleep 0.1; echo err >&2; exit 3 # \"ü\u0001'<\t\\";
  expect(await errorOf(plugin.create({ create: text, logging: "none" }))).toBe(
    'exit status 3: running "echo out; sleep 0.1; echo err >&2; exit 3 # \\"ü\\x01\'<\\t\\\\":\nout\nerr\n',
  );
});

test.each([
  [{ create: "kill -9 $$" }, 'signal: killed: running "kill -9 $$":\n'],
  [{ create: "kill -TERM $$" }, 'signal: terminated: running "kill -TERM $$":\n'],
  [{ create: "true", dir: "/no/such" }, 'chdir /no/such: no such file or directory: running "true":\n'],
  [{ create: "true", interpreter: ["/no/such"] }, 'fork/exec /no/such: no such file or directory: running "true":\n'],
  [
    { create: "true", interpreter: ["nosuchprogram"] },
    'exec: "nosuchprogram": executable file not found in $PATH: running "true":\n',
  ],
  [{ create: "printf '\\377'" }, "grpc: error while marshaling: string field contains invalid UTF-8"],
])("%j fails in these words", async (inputs, words) => {
  expect(await errorOf(plugin.create(inputs))).toBe(words);
});

test("a timeout ends the command", async () => {
  expect(await errorOf(plugin.create({ create: "exec sleep 30" }, { timeout: 1 }))).toContain("signal: killed");
});

test("both streams are logged line by line as passing status, unless logging says otherwise", async () => {
  const create = "printf 'a\\r\\n\\nb'; echo err >&2";
  const linesWith = async (logging?: string): Promise<string[]> => {
    plugin.logged.length = 0;
    await plugin.create(logging === undefined ? { create } : { create, logging });
    expect(plugin.logged.every(({ ephemeral }) => ephemeral)).toBe(true);
    return plugin.logged.map(({ message }) => message).sort();
  };
  await plugin.create({ create: "echo mark", logging: "stdout" }, { name: "named" });
  expect(plugin.logged).toHaveLength(1);
  expect(plugin.logged[0]).toEqual({ urn: plugin.urn("named"), message: "mark", ephemeral: true });
  expect(await linesWith("stdout")).toEqual(["", "a", "b"]);
  expect(await linesWith("stderr")).toEqual(["err"]);
  expect(await linesWith("none")).toEqual([]);
  const characters = async (logging?: string): Promise<string> =>
    [...(await linesWith(logging)).join("")].sort().join("");
  expect(await characters("stdoutAndStderr")).toBe("aberr".split("").sort().join(""));
  expect(await characters()).toBe("aberr".split("").sort().join(""));
});

test("logged lines come in order, and all of them before the step ends", async () => {
  await plugin.create({ create: "seq 300" });
  expect(plugin.logged.map(({ message }) => Number(message))).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
});

test("a logged line of 65,535 bytes passes, and an unlogged one of any length", async () => {
  const line = (length: number): string => `head -c ${length} /dev/zero | tr '\\0' x; echo`;
  await plugin.create({ create: line(65_535) });
  expect(plugin.logged.map(({ message }) => message.length)).toEqual([65_535]);
  expect(await stdoutOf({ create: line(200_000), logging: "none" })).toHaveLength(200_000);
  expect(await stdoutOf({ create: line(200_000), logging: "stderr" })).toHaveLength(200_000);
});

// The official plugin never answers here.
test.skipIf(official !== undefined)("a logged line of 65,536 bytes is an error that says what to do", async () => {
  const create = "head -c 65536 /dev/zero | tr '\\0' x; echo; exec sleep 30";
  const message = await errorOf(plugin.create({ create }));
  expect(message).toContain("longer than 65535 bytes");
  expect(message).toContain('logging to "none"');
});

test("the streams do not inherit secrecy, the inputs keep it", async () => {
  const { properties } = await plugin.create({ create: "cat", stdin: secret("s3cret") });
  expect(properties.stdout).toBe("s3cret");
  expect(isSecret(properties.stdin)).toBe(true);
});

test("a preview runs nothing; on create both streams are unknown", async () => {
  const file = join(folder, "ran");
  const inputs = { create: `touch ${file}`, stdin: secret("s"), environment: { A: UNKNOWN } };
  const { properties } = await plugin.create(inputs, { preview: true });
  expect(properties).toEqual({ ...inputs, stdout: UNKNOWN, stderr: UNKNOWN });
  expect(existsSync(file)).toBe(false);
});

test("in the preview of an update the streams are unknown once an input of the state changes, goes or turns secret", async () => {
  const state = { create: "a", stdin: "q", stdout: "old", stderr: "" };
  const previewOf = async (news: Properties): Promise<unknown> =>
    (await plugin.update(state, { create: "a", stdin: "q" }, news, true)).stdout;
  expect(await previewOf({ create: "a", stdin: "changed" })).toBe(UNKNOWN);
  expect(await previewOf({ create: "a", stdin: UNKNOWN })).toBe(UNKNOWN);
  expect(await previewOf({ create: "a" })).toBe(UNKNOWN);
  expect(await previewOf({ create: "a", stdin: secret("q") })).toBe(UNKNOWN);
  // The one that surprises: something added leaves them as they were.
  expect(await previewOf({ create: "a", stdin: "q", dir: "/" })).toBe("old");
});

test.each<[string, Properties, Properties, Record<string, string>]>([
  ["the same", { create: "a" }, { create: "a" }, {}],
  ["create text", { create: "a" }, { create: "b" }, { create: "UPDATE" }],
  ["delete text", { delete: "a" }, { delete: "b" }, { delete: "UPDATE" }],
  ["stdin became secret", { stdin: "1" }, { stdin: secret("1") }, { stdin: "UPDATE" }],
  ["secret stdin", { stdin: secret("1") }, { stdin: secret("2") }, { stdin: "UPDATE" }],
  ["unknown stdin", { stdin: "1" }, { stdin: UNKNOWN }, { stdin: "UPDATE" }],
  ["interpreter", { interpreter: ["a", "b"] }, { interpreter: ["a"] }, { "interpreter[1]": "DELETE" }],
  [
    "environment",
    { environment: { A: "1", B: "2" } },
    { environment: { A: "2", "x.y": "3" } },
    { "environment.A": "UPDATE", "environment.B": "DELETE", 'environment["x.y"]': "ADD" },
  ],
  ["triggers appear", {}, { triggers: ["1"] }, { triggers: "ADD_REPLACE" }],
  ["triggers go", { triggers: ["1"] }, {}, { triggers: "DELETE_REPLACE" }],
  [
    "one trigger",
    { triggers: ["1", { a: "b" }] },
    { triggers: ["2", { a: "c" }] },
    {
      "triggers[0]": "UPDATE",
      "triggers[1].a": "UPDATE",
    },
  ],
])("diff: %s", async (_, before, after, detailed) => {
  const diff = await plugin.diff(before, { ...before, stdout: "", stderr: "" }, after);
  expect(diff.detailed).toEqual(detailed);
  expect(diff.changes).toBe(Object.keys(detailed).length > 0);
  expect(diff.replaces).toEqual(Object.keys(detailed).filter((key) => detailed[key]?.endsWith("REPLACE")));
});

test("check names every wrong field at once and accepts unknowns and secrets", async () => {
  const { failures } = await plugin.check({
    create: 5,
    creat: "x",
    environment: { A: 5 },
    interpreter: "sh",
    dir: true,
  });
  expect(failures.map(({ property }) => property).sort()).toEqual(
    ["creat", "create", "dir", "environment[A] value", "interpreter"].sort(),
  );
  expect(failures.find(({ property }) => property === "create")?.reason).toBe(
    "Field 'create' on 'local.CommandInputs' must be a 'string'; got 'float64' instead",
  );
  const good = { create: UNKNOWN, stdin: secret("a"), environment: { A: UNKNOWN }, triggers: [1, { a: true }] };
  expect(await plugin.check(good)).toEqual({ inputs: good, failures: [] });
});

test("a refresh finds nothing: the state is what is read", async () => {
  const state = { create: "a", stdout: "old", stderr: "" };
  expect(await plugin.read(state, { create: "a" })).toEqual(state);
});

test("when the engine breaks off, the command's own process is killed at once and what it started goes on", async () => {
  const [started, ended] = [join(folder, "started"), join(folder, "ended")];
  writeFileSync(join(folder, "child.sh"), `touch ${started}; sleep 1; touch ${ended}`);
  const failed = errorOf(plugin.create({ create: `sh ./child.sh & wait; touch ${folder}/parent-ended` }));
  await vi.waitFor(() => expect(existsSync(started)).toBe(true));
  plugin.abandon();
  await failed;
  await vi.waitFor(() => expect(existsSync(ended)).toBe(true), { timeout: 5_000 });
  expect(existsSync(join(folder, "parent-ended"))).toBe(false);
});

test("cancel kills what runs, waits for whoever holds its output, and refuses what comes after", async () => {
  await using own = await startPlugin();
  const [started, ended] = [join(folder, "c-started"), join(folder, "c-ended")];
  const failed = errorOf(own.create({ create: `touch ${started}; sleep 1; touch ${ended}`, logging: "none" }));
  await vi.waitFor(() => expect(existsSync(started)).toBe(true));
  await own.cancel();
  expect(await failed).toContain("signal: killed");
  expect(existsSync(ended)).toBe(false);
  expect(await errorOf(own.create({ create: "true" }))).toBe('context canceled: running "true":\n');
});
