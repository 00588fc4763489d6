/** The first `up` of a state that knows nothing, on a host that has everything: set up by the old script, or by a state that was lost. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { prepareAsAncestor } from "../hosts/ancestor.ts";
import { changedSteps, type Stack } from "../pulumi/stack.ts";
import { type Box, openStack, specFor, startBox, teamKey, thinker } from "./box.ts";
import { askChat } from "./endpoint.ts";

let box: Box;
let stack: Stack;
const say = (line: string) => console.log(`   ${line}`);
const run = async (command: string) => (await box.host.exec(command)).stdout.trim();

const ask = () =>
  askChat({ baseUrl: `http://${box.host.address}:8080/v1`, model: thinker, prompt: "hi", key: teamKey });

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
  const answer = await ask();
  expect(answer.status, answer.text).toBe(200);
  expect(answer.reasoningTokens).toBe(0);
  const again = await stack.up();
  expect(changedSteps(again)).toEqual([]);
});

test("after a lost state up takes over what is there, loads nothing again and fails no request; the next two tidy up", async () => {
  const containers = async (more = "") =>
    (await run(`docker ps -aq --filter label=dev.lmstack.stack=e2e-adopted ${more}`)).split("\n");
  const before = await containers();
  await stack.loseState();
  const statuses: number[] = [];
  let over = false;
  const asking = (async () => {
    while (!over) statuses.push((await ask()).status);
  })();
  const up = await stack.up().finally(() => {
    over = true;
  });
  await asking;
  say(`up without a state: ${up.seconds.toFixed(1)} s, ${statuses.length} requests meanwhile`);
  expect(up.exitCode, up.output).toBe(0);
  expect(statuses.filter((status) => status !== 200)).toEqual([]);
  expect(up.output).not.toMatch(/\b(loading|unpacking|starting) /);
  // The proxy that no state knows any more is let finish first, and cleared away when it has.
  for (const left of [2, 1]) {
    const tidied = await stack.up();
    expect(changedSteps(tidied).map(({ name }) => name)).toEqual(["proxy-gate"]);
    await expect.poll(async () => (await containers("--filter status=running")).length, { timeout: 30_000 }).toBe(1);
    expect(await containers()).toHaveLength(left);
  }
  expect(await containers()).not.toEqual(before);
});

test("destroy leaves the daemon running, the model loaded and its file in place", async () => {
  const down = await stack.destroy();
  expect(down.exitCode, down.output).toBe(0);
  expect(await run("pgrep -fc '[l]lmster'")).not.toBe("0");
  expect(await run("~/.lmstudio/bin/lms ps --json")).toContain(thinker);
  expect(await run(`test -s ${box.models[0]?.path} && echo there`)).toBe("there");
  expect(await run("ls -A ~ | grep -c lmstack || true")).toBe("0");
});
