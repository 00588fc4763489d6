/** LiteLLM's proxy from PyPI, in an environment of its own below the clone's `.lmstack`. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { clone } from "../../infra/setup/folders.mjs";
import { lastLines, runProgram } from "../../infra/setup/program.mjs";
import { say, withHeartbeat } from "../../infra/setup/report.mjs";
import { startChild, whenReady } from "../children.ts";
import { benchKey } from "../load/request.ts";
import { accepting, freePort, type Peer } from "./peer.ts";

const environment = join(clone, ".lmstack", "bench", "venv");
const python = join(environment, "bin", "python");
const program = join(environment, "bin", "litellm");
const wanted = "litellm[proxy]==1.106.*";

export const litellm: Peer = {
  name: "litellm",
  slow: true,
  async prepare() {
    if (!existsSync(program)) await install();
    const { output } = await runProgram(python, [
      "-c",
      "from importlib.metadata import version; print(version('litellm'))",
    ]);
    return output.trim();
  },
  async start({ backendPort, core, folder }) {
    const port = await freePort();
    const file = join(folder, "litellm.yaml");
    await writeFile(file, configuration(backendPort));
    const env = {
      ...process.env,
      LITELLM_TELEMETRY: "False",
      LITELLM_LOCAL_MODEL_COST_MAP: "True",
      LITELLM_LOG: "ERROR",
      // It does not start without one; the client sends it to every peer.
      LITELLM_MASTER_KEY: benchKey,
    };
    const args = ["--config", file, "--host", "127.0.0.1", "--port", String(port), "--num_workers", "1"];
    const child = startChild([program, ...args], { core, env, cwd: folder });
    await whenReady(child, "LiteLLM", accepting(port, 120));
    return { port, process: child };
  },
};

async function install(): Promise<void> {
  say(`bench: installing ${wanted} from PyPI into .lmstack/bench/venv`);
  const work = (async () => {
    await ran("python3", ["-m", "venv", environment]);
    await ran(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted]);
  })();
  await withHeartbeat(() => "bench: pip is still at it", work);
}

async function ran(file: string, args: readonly string[]): Promise<void> {
  const { code, output } = await runProgram(file, [...args]);
  if (code !== 0) {
    throw new Error(
      `${[file, ...args].join(" ")} failed:\n${lastLines(output)}\nCheck that pip can reach its index (pip download litellm), or measure without it: --quick`,
    );
  }
}

function configuration(backendPort: number): string {
  const models = ["bench", "bench-client"].map(
    (name) => `  - model_name: ${name}
    litellm_params:
      model: openai/${name}
      api_base: http://127.0.0.1:${backendPort}/v1
      api_key: none
`,
  );
  return `model_list:
${models.join("")}litellm_settings:
  drop_params: true
`;
}
