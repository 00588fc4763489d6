/** The status page by keyboard, on a phone, in light and dark, and for those who listen to it. */
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { json, open, send, startTestProxy, startUpstream } from "../unit/proxy/harness.ts";
import { startBrowser, visit } from "./chromium.ts";
import { faintText, focus, missing, tooWide } from "./in-page.ts";

const model = "a-rather-long-name-of-a-model-27b-instruct-ud-q4_k_xl";
const key = "secret-key";
const card = {
  index: 0,
  name: "NVIDIA GeForce RTX 5090",
  memoryUsedBytes: 23e9,
  memoryTotalBytes: 34e9,
  utilization: 0.93,
  temperatureCelsius: 61,
  powerWatts: 412,
};

/** A page on which everything stands that it can have: a model at work with some waiting, one that is missing, a card, an error. */
async function startBusyProxy() {
  const stack = new AsyncDisposableStack();
  const instance = { parallel: 2, context_length: 200_000 };
  const catalog = { models: [{ loaded_instances: [{ id: model, config: instance }] }] };
  const upstream = stack.use(
    await startUpstream((response, { body }) => {
      if (body.includes("short")) response.end('{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":50}}');
      else response.writeHead(200, { "content-type": "text/event-stream" }).write(":\n\n");
    }, catalog),
  );
  const proxy = stack.use(
    await startTestProxy({
      upstream: upstream.url,
      models: { [model]: { thinking: "off" }, missing: { thinking: "client" } },
      keys: [{ id: "me", sha256: createHash("sha256").update(key).digest("hex") }],
    }),
  );
  const authorization = `Bearer ${key}`;
  const ask = (text: string, stream: boolean) => {
    const sending = json({ model, messages: [{ role: "user", content: text }], stream });
    return { ...sending, headers: { ...sending.headers, authorization } };
  };
  await writeFile(join(proxy.folder, "gpu.json"), JSON.stringify({ at: new Date().toISOString(), gpus: [card] }));
  await send(proxy.port, "/v1/nowhere", { headers: { authorization } });
  await send(proxy.port, "/v1/chat/completions", ask("short", false));
  for (let waiting = 0; waiting < 4; waiting++) {
    const answer = open(proxy.port, "/v1/chat/completions", ask("long", true));
    answer.then(
      (response) => response.once("error", () => {}),
      () => {},
    );
  }
  return { instance, url: `http://127.0.0.1:${proxy.port}/`, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

let browser: Browser;
let busy: Awaited<ReturnType<typeof startBusyProxy>>;
beforeAll(async () => {
  browser = await startBrowser();
  busy = await startBusyProxy();
});
afterAll(async () => {
  await browser?.close();
  await busy?.[Symbol.asyncDispose]();
});

async function visitBusy(options: Parameters<typeof visit>[2]) {
  const visitor = await visit(browser, busy.url, options);
  await visitor.page.getByText("Live.").waitFor();
  await visitor.page.getByText("2 of 2 slots busy, 2 waiting").waitFor();
  await visitor.page.getByRole("region", { name: "Recent errors" }).getByText("unknown_path").waitFor();
  await visitor.page.getByRole("table").getByText("21.4 of 31.7").waitFor();
  return visitor;
}

describe.each(["light", "dark"] as const)("in a %s room, the status page", (colorScheme) => {
  it.each([
    ["a phone", { width: 320, height: 640 }],
    ["a desk", { width: 1280, height: 900 }],
  ])("can be read on %s: nothing sticks out, nothing is faint", async (_, viewport) => {
    await using visitor = await visitBusy({ colorScheme, viewport });
    expect(await visitor.page.evaluate(tooWide)).toEqual([]);
    expect(await visitor.page.evaluate(faintText)).toEqual([]);
    expect(visitor.complaints).toEqual([]);
  });
});

describe("the status page", () => {
  it("is dark where the reader's system is", async () => {
    const ground = async (colorScheme: "light" | "dark") => {
      await using visitor = await visitBusy({ colorScheme });
      return await visitor.page.evaluate("getComputedStyle(document.body).backgroundColor");
    };
    expect(await ground("light")).toBe("rgb(251, 250, 247)");
    expect(await ground("dark")).toBe("rgb(21, 22, 20)");
  });

  it("has words, labels, heads and landmarks for those who listen to it", async () => {
    await using visitor = await visitBusy({});
    expect(await visitor.page.evaluate(missing)).toEqual([]);
  });

  it("is all within reach of the keyboard, and shows where the reader is", async () => {
    await using visitor = await visitBusy({});
    const { page } = visitor;
    const reached: unknown[] = [];
    for (let press = 0; press < 5; press++) {
      await page.keyboard.press("Tab");
      reached.push(await page.evaluate(focus));
    }
    const stops = ["skip", "codex-file-copy", "codex-file", "codex-start-copy", "codex-start"];
    expect(reached).toEqual(stops.map((what) => ({ what, seen: true })));
  });

  it("lets the keyboard skip to the models, and copy the lines for Codex", async () => {
    await using visitor = await visitBusy({ permissions: ["clipboard-read", "clipboard-write"] });
    const { page } = visitor;
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    expect(await page.evaluate(focus)).toMatchObject({ what: "main" });
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText("Copied.").waitFor();
    const copied = await page.evaluate("navigator.clipboard.readText()");
    expect(copied).toBe(await page.locator("#codex-file").textContent());
    expect(copied).toContain(`base_url = "${busy.url}v1"`);
  });

  it("leaves focus and selection where they are while the page changes around them", async () => {
    await using own = await startBusyProxy();
    await using visitor = await visit(browser, own.url);
    const { page } = visitor;
    const shown = page.getByText("200,000 tokens context");
    await shown.selectText();
    await page.getByRole("button", { name: "Copy the commands" }).focus();
    own.instance.context_length = 100_000;
    await page.getByText("model_context_window = 100000").waitFor();
    expect(await page.evaluate(focus)).toMatchObject({ what: "codex-start-copy" });
    expect(await page.evaluate("String(getSelection())")).toContain("200,000 tokens context");
    await page.evaluate("getSelection().removeAllRanges()");
    await page.getByText("100,000 tokens context").waitFor();
  });
});
