// How the language host runs a program; with LMSTACK_LANGUAGE_HOST set to the official host's binary the same promises are
// checked on that one.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Client, credentials } from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

const require = createRequire(import.meta.url);
const { LanguageRuntimeService } = require("@pulumi/pulumi/proto/language_grpc_pb.js");
const messages = require("@pulumi/pulumi/proto/language_pb.js");
const { Empty } = require("google-protobuf/google/protobuf/empty_pb.js");
const { Struct } = require("google-protobuf/google/protobuf/struct_pb.js");

const official = process.env.LMSTACK_LANGUAGE_HOST;
const root = fileURLToPath(new URL("../../..", import.meta.url));
const node = join(root, "node_modules/.bin/node");
const command = official ? [official] : [node, join(root, "test/engine/pulumi-language-nodejs/main.ts")];

let folder: string;
let host: ChildProcess;
let client: Client;

/** In place of the SDK: notes what it was started with, then does what the config says. */
const SDK = `
const { writeFileSync } = require("node:fs");
const config = JSON.parse(process.env.PULUMI_CONFIG);
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith("PULUMI_")));
writeFileSync("started.json", JSON.stringify({ argv: process.argv.slice(2), execArgv: process.execArgv, env, cwd: process.cwd() }));
const act = Object.values(config)[0];
if (act === "wait") { process.on("SIGINT", () => process.exit(9)); setInterval(() => {}, 1000); }
else process.exit(Number(act));
`;

beforeEach(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "lmstack-program-")));
  const sdk = join(folder, "node_modules/@pulumi/pulumi/cmd/run");
  mkdirSync(sdk, { recursive: true });
  writeFileSync(join(sdk, "index.js"), SDK);
  host = spawn(command[0] ?? "", [...command.slice(1)], {
    cwd: folder,
    env: { ...process.env, PATH: `${dirname(node)}:${process.env.PATH}` },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const lines = createInterface({ input: host.stdout as NodeJS.ReadableStream });
  const port = await new Promise<string>((resolve) => lines.once("line", resolve));
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const handshake = new messages.LanguageHandshakeRequest();
  handshake.setEngineAddress("127.0.0.1:9");
  await call("handshake", handshake);
});

afterEach(async () => {
  client.close();
  const gone = new Promise((resolve) => host.once("exit", resolve));
  host.kill("SIGKILL");
  await gone;
  rmSync(folder, { recursive: true });
});

// biome-ignore lint/suspicious/noExplicitAny: generated messages have no types in this form
function call(method: string, request: unknown): Promise<any> {
  const { path, requestSerialize, responseDeserialize } = LanguageRuntimeService[method];
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, response) =>
      error ? reject(new Error(error.details)) : resolve(response),
    );
  });
}

interface Ended {
  readonly error: string;
  readonly bail: boolean;
}

async function run(act: string, options: Record<string, unknown> = { typescript: false }): Promise<Ended> {
  const info = new messages.ProgramInfo();
  info.setRootDirectory(folder);
  info.setProgramDirectory(folder);
  info.setEntryPoint("main.js");
  info.setOptions(Struct.fromJavaScript(options));
  const request = new messages.RunRequest();
  request.setInfo(info);
  request.setMonitorAddress("127.0.0.1:9");
  request.setProject("proof");
  request.setStack("dev");
  request.setOrganization("organization");
  request.setPwd(folder);
  request.setDryrun(true);
  request.setParallel(7);
  request.getConfigMap().set("proof:act", act);
  request.setConfigsecretkeysList(["proof:key"]);
  const response = await call("run", request);
  return { error: response.getError(), bail: response.getBail() };
}

const started = () => JSON.parse(readFileSync(join(folder, "started.json"), "utf8"));

test("a program gets its project, stack, parallelism, config and secret keys, and runs in its folder", async () => {
  expect(await run("0")).toEqual({ error: "", bail: false });
  const { argv, env, cwd } = started();
  const after = (name: string): string => argv[argv.indexOf(name) + 1];
  expect([after("--project"), after("--stack"), after("--organization")]).toEqual(["proof", "dev", "organization"]);
  expect([after("--parallel"), after("--pwd"), after("--root-directory")]).toEqual(["7", folder, folder]);
  expect(after("--engine")).toBe("127.0.0.1:9");
  expect(argv).toContain("--dry-run");
  expect(argv.at(-1)).toBe("main.js");
  expect(Object.values(JSON.parse(env.PULUMI_CONFIG))).toEqual(["0"]);
  expect(JSON.parse(env.PULUMI_CONFIG_SECRET_KEYS)).toEqual(["proof:key"]);
  expect(env.PULUMI_NODEJS_TYPESCRIPT).toBeUndefined();
  expect(cwd).toBe(folder);
});

test("runtime options reach node and the SDK", async () => {
  await run("0", { nodeargs: "--max-old-space-size=200 --title 'a b'", tsconfig: "other.json" });
  const { execArgv, env } = started();
  expect(execArgv).toEqual(["--max-old-space-size=200", "--title", "a b"]);
  expect(env.PULUMI_NODEJS_TYPESCRIPT).toBe("true");
  expect(env.PULUMI_NODEJS_TSCONFIG_PATH).toBe("other.json");
});

test("an option of the wrong type is named", async () => {
  expect(await run("0", { typescript: "no" })).toEqual({ error: "typescript option must be a boolean", bail: false });
});

test("a program that failed says so; one that has already told the user why does not say it twice", async () => {
  expect(await run("3")).toEqual({ error: "Program exited with non-zero exit code: 3", bail: false });
  expect(await run("32")).toEqual({ error: "", bail: true });
});

test("cancel interrupts the program", async () => {
  const ended = run("wait");
  await vi.waitFor(() => expect(started().cwd).toBe(folder));
  await call("cancel", new Empty());
  expect((await ended).error).not.toBe("");
});

test("a missing SDK is a sentence with the next step", async () => {
  rmSync(join(folder, "node_modules"), { recursive: true });
  expect((await run("0")).error).toMatch(/not (been )?installed[\s\S]*(npm ci|pulumi install)/);
});
