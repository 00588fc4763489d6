/** The status page of a real proxy in a real Chromium. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { json, open, send, startTestProxy, startUpstream, type TestProxy } from "../unit/proxy/harness.ts";
import { otherName, startBrowser, visit } from "./chromium.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await startBrowser();
});
afterAll(async () => {
  await browser?.close();
});

const catalogOf = (...ids: string[]) => ({
  models: [{ loaded_instances: ids.map((id) => ({ id, config: { parallel: 2, context_length: 200_000 } })) }],
});
const home = (proxy: TestProxy, name = "127.0.0.1") => `http://${name}:${proxy.port}/`;
const token = 'data: {"choices":[{"delta":{"content":"word"}}]}\n\n';
const ask = (model: string) => json({ model, messages: [], stream: true });

/** A model's part of the page. */
const card = (page: Page, model: string) => page.getByRole("article", { name: model, exact: true });

/** An upstream whose streams stay open until the test ends them. */
async function startSlowUpstream(...models: string[]) {
  const running: ServerResponse[] = [];
  const upstream = await startUpstream(
    (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).write(token);
      running.push(response);
    },
    catalogOf(...models),
  );
  return { ...upstream, running };
}

describe("whoever looks at the status page", () => {
  it("sees a queue fill and drain, without loading the page again", async () => {
    await using upstream = await startSlowUpstream("qwen");
    await using proxy = await startTestProxy({ upstream: upstream.url, models: { qwen: { thinking: "off" } } });
    await using visitor = await visit(browser, home(proxy));
    const { page } = visitor;
    const model = card(page, "qwen");
    await page.getByText("Live.").waitFor();
    await model.getByText("0 of 2 slots busy, 0 waiting").waitFor();
    await model.getByText("loaded · thinking off").waitFor();

    const answers = Array.from({ length: 5 }, () => open(proxy.port, "/v1/chat/completions", ask("qwen")));
    await model.getByText("2 of 2 slots busy, 3 waiting").waitFor();
    expect(await model.locator(".slot.busy").count()).toBe(2);
    expect(await model.locator(".person").count()).toBe(3);

    for (const [ended, words] of ["2 of 2 slots busy, 2 waiting", "2 of 2 slots busy, 1 waiting"].entries()) {
      upstream.running[ended]?.end("data: [DONE]\n\n");
      await model.getByText(words).waitFor();
    }
    for (let ended = 2; ended < 5; ended++) {
      (await answers[ended])?.resume();
      upstream.running[ended]?.end("data: [DONE]\n\n");
      await model.getByText(`${ended === 2 ? 2 : 4 - ended} of 2 slots busy, 0 waiting`).waitFor();
    }
    expect(await model.locator(".person").count()).toBe(0);
    expect(visitor.complaints).toEqual([]);
  });

  it("sees LM Studio die and return, and what a request met meanwhile", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"), catalogOf("qwen"));
    await using proxy = await startTestProxy({ upstream: upstream.url, models: { qwen: { thinking: "off" } } });
    await using visitor = await visit(browser, home(proxy));
    const { page } = visitor;
    await page.getByText("Ready. All declared models are loaded.").waitFor();
    expect(await page.title()).toBe("Ready · lmstack");

    const { port } = upstream.server.address() as AddressInfo;
    const closed = once(upstream.server, "close");
    upstream.server.close();
    upstream.server.closeAllConnections();
    await closed;
    await page.getByText("Not ready. LM Studio does not answer").waitFor();
    await card(page, "qwen").getByText("not known").waitFor();
    await send(proxy.port, "/v1/chat/completions", ask("qwen"));
    const errors = page.getByRole("region", { name: "Recent errors" });
    await errors.getByText("upstream_down · status 503 · qwen · just now").waitFor();
    await errors.getByText("lmstack status").waitFor();

    upstream.server.listen(port, "127.0.0.1");
    await page.getByText("Ready. All declared models are loaded.").waitFor();
    expect(await page.title()).toBe("Ready · lmstack");
    expect(visitor.complaints).toEqual([]);
  });

  it("sees a model held, and resumed", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"), catalogOf("qwen"));
    await using proxy = await startTestProxy({ upstream: upstream.url, models: { qwen: { thinking: "off" } } });
    await using visitor = await visit(browser, home(proxy));
    const model = card(visitor.page, "qwen");
    const admin = { method: "POST", socketPath: proxy.adminSocket };
    await send(0, "/-/models/qwen/hold?seconds=300", admin);
    await model.getByText("held").waitFor();
    await model.getByText("new requests wait for at most").waitFor();
    await send(0, "/-/models/qwen/resume", admin);
    await model.getByText("loaded").waitFor();
  });

  it("sees a hostile name of a model as text and as nothing else", async () => {
    const name = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script></bdi><h1>${"x".repeat(60)}`;
    await using upstream = await startSlowUpstream("qwen");
    await using proxy = await startTestProxy({
      upstream: upstream.url,
      models: { "*": { thinking: "off", slots: 1 } },
    });
    await using visitor = await visit(browser, home(proxy), { viewport: { width: 320, height: 600 } });
    const { page } = visitor;
    const answer = await open(proxy.port, "/v1/chat/completions", ask(name));
    await page.getByRole("heading", { level: 3, name: '<img src=x onerror="document' }).waitFor();
    expect(await page.locator("img, main script").count()).toBe(0);
    expect(await page.locator("h1").count()).toBe(1);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(320);
    expect(await page.title()).toMatch(/ · lmstack$/);
    expect(visitor.complaints).toEqual([]);
    answer.destroy();
  });

  it("is told when the proxy is gone", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"), catalogOf());
    await using proxy = await startTestProxy({ upstream: upstream.url });
    await using visitor = await visit(browser, home(proxy));
    await visitor.page.getByText("Live.").waitFor();
    await proxy.drain();
    await visitor.page.getByText("Not live: the proxy does not answer.").waitFor();
  });

  it("gets a new page when the proxy has become another version", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"), catalogOf("qwen"));
    await using proxy = await startTestProxy({ upstream: upstream.url });
    await using visitor = await visit(browser, home(proxy));
    const { page } = visitor;
    await page.getByText("Live.").waitFor();
    const loaded = page.waitForEvent("load");
    await page.evaluate("document.documentElement.dataset.page = 'of an older version'");
    await send(proxy.port, "/v1/nowhere");
    await loaded;
    await page.getByText("Live.").waitFor();
  });

  it("reads a snapshot where scripts are switched off", async () => {
    await using upstream = await startUpstream((response) => response.end("{}"), catalogOf("qwen"));
    await using proxy = await startTestProxy({ upstream: upstream.url });
    await using visitor = await visit(browser, home(proxy), { javaScriptEnabled: false });
    const { page } = visitor;
    await page.getByText("reload for newer figures").waitFor();
    await page.getByText("Ready.").waitFor();
    await card(page, "qwen").waitFor();
    expect(await page.getByRole("button").count()).toBe(0);
  });
});

describe("a browser on another machine", () => {
  it("needs a key, given in its login box, and gets the lines for its own way here", async () => {
    const keys = [{ id: "me", sha256: createHash("sha256").update("secret-key").digest("hex") }];
    await using upstream = await startUpstream((response) => response.end("{}"), catalogOf("qwen"));
    await using proxy = await startTestProxy({ upstream: upstream.url, keys });
    const refused = await send(proxy.port, "/", { headers: { host: otherName } });
    expect(refused.status).toBe(401);
    expect(refused.headers["www-authenticate"]).toMatch(/^Basic /);

    const httpCredentials = { username: "anybody", password: "secret-key" };
    await using visitor = await visit(browser, home(proxy, otherName), { httpCredentials });
    const { page } = visitor;
    await page.getByText("Live.").waitFor();
    const lines = page.getByRole("region", { name: "Set up Codex" });
    await lines.getByText(`base_url = "http://${otherName}:${proxy.port}/v1"`).waitFor();
    await lines.getByText('env_key = "LMS_API_KEY"').waitFor();
  });
});
