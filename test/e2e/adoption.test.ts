/** The first `up` on a host that the old script had set up. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { prepareAsAncestor } from "../hosts/ancestor.ts";
import { changedSteps, type Stack } from "../pulumi/stack.ts";
import { type Box, openStack, specFor, startBox, teamKey, thinker } from "./box.ts";
import { askChat } from "./endpoint.ts";

let box: Box;
let stack: Stack;
const say = (line: string) => console.log(`   ${line}`);
const run = async (command: string) => (await box.host.exec(command)).stdout.trim();

beforeAll(async () => {
  box = await startBox({ name: "adopted", realModel: false, onProgress: say });
  const [model] = box.models;
  if (!model) throw new Error("The box has no model");
  await prepareAsAncestor(box.host, {
    tarball: box.installer.url.slice("file://".length),
    gguf: model.path,
    identifier: model.id,
    contextLength: 32768,
    parallel: 2,
  });
  stack = await openStack(
    "e2e-adopted",
    box,
    specFor(box, (spec) => {
      spec.models = spec.models.slice(0, 1);
    }),
  );
});

afterAll(async () => {
  await stack?.forget();
  await box?.host.remove();
});

test("one up makes it a declared host without a reinstall, and the old proxy is gone", async () => {
  const installed = await run("stat -c '%i %Y' ~/.lmstudio/llmster/*/llmster");
  const daemon = await run("pgrep -f '[l]lmster' | head -1");
  const up = await stack.up(say);
  expect(up.exitCode, up.output).toBe(0);
  expect(await run("stat -c '%i %Y' ~/.lmstudio/llmster/*/llmster")).toBe(installed);
  expect(await run("pgrep -f '[l]lmster' | head -1")).toBe(daemon);
  expect(await run("pgrep -fc '[l]ms-no-think-proxy.py' || true")).toBe("0");
  const answer = await askChat({
    baseUrl: `http://${box.host.address}:8080/v1`,
    model: thinker,
    prompt: "hi",
    key: teamKey,
  });
  expect(answer.status, answer.text).toBe(200);
  expect(answer.reasoningTokens).toBe(0);
  const again = await stack.up();
  expect(changedSteps(again)).toEqual([]);
});

test("destroy leaves the daemon running, the model loaded and its file in place", async () => {
  const down = await stack.destroy();
  expect(down.exitCode, down.output).toBe(0);
  expect(await run("pgrep -fc '[l]lmster'")).not.toBe("0");
  expect(await run("~/.lmstudio/bin/lms ps --json")).toContain(thinker);
  expect(await run(`test -s ${box.models[0]?.path} && echo there`)).toBe("there");
  expect(await run("ls -A ~ | grep -c lmstack || true")).toBe("0");
});
