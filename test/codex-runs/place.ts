/** Where one scenario happens: LM Studio's stand-in at its strictest, the proxy as a process, and Codex in a scratch repository. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { codexArtifacts } from "../../infra/codex/artifacts.ts";
import { parseHostSpec } from "../../infra/spec/parse.ts";
import { type SimServer, startSimServer } from "../lmstudio-sim/index.ts";
import type { Agent } from "../lmstudio-sim/model.ts";
import { ProxyProcess } from "../proxy-runs/proxy-process.ts";
import { projectRoot } from "../pulumi/stack.ts";
import { type Searxng, startSearxng } from "../searxng/server.ts";
import type { CodexHome } from "./codex.ts";

export const model = "sim-coder";
const key = "sk-codex-runs";

export interface PlaceOptions {
  readonly agent: Agent;
  readonly contextLength: number;
  readonly search: boolean;
  readonly vision: boolean;
  /** Slots of the model, and whether it is loaded when Codex comes. */
  readonly slots: number;
  readonly loaded: boolean;
  /** For Codex's `config.toml`, given the working folder. */
  readonly toml: (work: string) => string;
}

export interface Place extends CodexHome, AsyncDisposable {
  readonly sim: SimServer;
  readonly proxy: ProxyProcess;
  readonly searxng: Searxng | undefined;
  /** Of the proxy, for other clients than Codex; ends in `/v1`. */
  readonly baseUrl: string;
  readonly key: string;
}

export async function openPlace(options: PlaceOptions): Promise<Place> {
  await using making = new AsyncDisposableStack();
  const sim = making.use(
    await startSimServer({
      models: [
        {
          id: model,
          loaded: options.loaded,
          contextLength: options.contextLength,
          parallel: options.slots,
          vision: options.vision,
          thinks: true,
          tokenMs: 2,
          agent: options.agent,
        },
        { id: "sim-other", loaded: false },
      ],
      // As the stack sets it: models are loaded by its supervisor.
      settings: { justInTimeModelLoading: false },
      refusedFields: ["include", "client_metadata", "prompt_cache_key", "service_tier"],
      bareUsage: true,
    }),
  );
  const searxng = options.search ? making.use(await startSearxng()) : undefined;
  const proxy = making.use(
    await ProxyProcess.start({
      upstream: sim.url,
      models: { [model]: { thinking: "off", slots: options.slots, contextLength: options.contextLength } },
      keys: [{ id: "codex", sha256: createHash("sha256").update(key).digest("hex") }],
      heartbeatSeconds: 1,
      ...(searxng === undefined ? {} : { search: { searxng: searxng.url } }),
    }),
  );
  // Not in the system's folder for temporary files: Codex warns about a home there.
  const runs = join(projectRoot, ".lmstack", "codex-runs");
  await mkdir(runs, { recursive: true });
  const home = await mkdtemp(join(runs, "home-"));
  making.defer(() => rm(home, { recursive: true, force: true, maxRetries: 5 }));
  const codexHome = join(home, ".codex");
  const work = join(home, "work");
  await mkdir(codexHome);
  await mkdir(work);
  const baseUrl = `http://127.0.0.1:${proxy.port}/v1`;
  for (const { name, content, mode } of codexArtifacts(specFor(options, baseUrl, searxng), key))
    await writeFile(join(codexHome, name), content, { mode });
  // The terminal interface asks before it works in a new folder; the answer is kept here.
  const trust = `[projects.${JSON.stringify(work)}]\ntrust_level = "trusted"\n`;
  await writeFile(join(codexHome, "config.toml"), `${options.toml(work)}\n${trust}`);
  await execa("git", ["init", "--quiet", work]);
  const { HTTP_PROXY: _1, HTTPS_PROXY: _2, http_proxy: _3, https_proxy: _4, ...rest } = process.env;
  const env = { ...rest, HOME: home, CODEX_HOME: codexHome, LMS_API_KEY: key, NO_PROXY: "*" };
  const done = making.move();
  return {
    sim,
    proxy,
    searxng,
    codexHome,
    work,
    env,
    baseUrl,
    key,
    [Symbol.asyncDispose]: () => done.disposeAsync(),
  };
}

function specFor({ contextLength }: PlaceOptions, baseUrl: string, searxng: Searxng | undefined) {
  return parseHostSpec({
    platform: "linux-cpu",
    connection: { local: true },
    models: [{ id: model, source: { path: "/models/coder.gguf" }, sha256: "0".repeat(64), load: { contextLength } }],
    proxy: { keys: ["codex"], ...(searxng === undefined ? {} : { search: { searxng: searxng.url } }) },
    codex: { baseUrl },
  });
}
