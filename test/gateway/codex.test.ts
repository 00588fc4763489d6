/** The real Codex behind the gateway while a host dies that answers it. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { codexArtifacts } from "../../infra/codex/artifacts.ts";
import { parseHostSpec } from "../../infra/spec/parse.ts";
import { type CodexHome, codexExec } from "../codex-runs/codex.ts";
import { until } from "../container/client.ts";
import { plainPrinting, printed } from "../unit/proxy/answer/dialects.ts";
import { call, lmStudio, type Said } from "../unit/proxy/codex/answer/streams.ts";
import { GatewayPlace } from "./place.ts";
import { declared, openHosts } from "./trials.ts";

test("a Codex whose host dies in the middle of an answer goes on at another host by itself, and does nothing twice", async () => {
  await using open = new AsyncDisposableStack();
  const hosts = await openHosts(open, ["coder"], ["coder"]);
  const { url } = open.use(await GatewayPlace.open(declared(hosts)));
  const codex = await codexAt(open, `${url}/v1`);
  const file = join(codex.work, "made.txt");
  const events = (said: Said) => lmStudio([said]);
  const begun = events(call("exec_command", JSON.stringify({ cmd: "echo once >> made.txt" }))).slice(0, -1);
  const whole = events({ kind: "text", pieces: ["Done."] });
  const asked: string[] = [];
  for (const host of hosts)
    host.script = (response) => {
      asked.push(host.name);
      if (asked.length > 1) return response.end(printed(whole, plainPrinting));
      response.write(printed(begun, plainPrinting));
      // What Codex has done with the first half of the answer shows that it came.
      return until("Codex runs the command", () => readFile(file).then(Boolean, () => false)).then(() => host.die());
    };

  const { exitCode, answer, log } = await codexExec(codex, ["--skip-git-repo-check", "Go."], 15);
  expect({ exitCode, answer: answer.trim(), log }).toMatchObject({ exitCode: 0, answer: "Done." });
  expect(asked).toHaveLength(2);
  expect(new Set(asked).size).toBe(2);
  // Not by HAProxy, which asks nobody twice for an answer that has begun.
  expect(log).toMatch(/Reconnecting/);
  const last = hosts.find(({ name }) => name === asked[1])?.seen.at(-1);
  expect(last?.body).toContain("function_call_output");
  expect(await readFile(file, "utf8")).toBe("once\n");
});

async function codexAt(open: AsyncDisposableStack, baseUrl: string): Promise<CodexHome> {
  const home = await mkdtemp(join(tmpdir(), "gateway-codex-"));
  open.defer(() => rm(home, { recursive: true, force: true, maxRetries: 5 }));
  const [codexHome, work] = [join(home, ".codex"), join(home, "work")];
  await mkdir(codexHome);
  await mkdir(work);
  const spec = parseHostSpec({
    platform: "linux-cpu",
    connection: { local: true },
    models: [{ id: "coder", source: { path: "/models/coder.gguf" }, load: { contextLength: 32_768 } }],
    proxy: { allowAnonymous: true },
    codex: { baseUrl },
  });
  for (const { name, content, mode } of codexArtifacts(spec, undefined))
    await writeFile(join(codexHome, name), content, { mode });
  return { codexHome, work, env: { ...process.env, HOME: home, CODEX_HOME: codexHome, NO_PROXY: "*" } };
}
