import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { Writable } from "node:stream";
import { afterEach, describe, expect, it, vi } from "vitest";
import { StatusPage } from "../../../../proxy/page/page.ts";
import { type SnapshotParts, statusSnapshot } from "../../../../proxy/page/snapshot.ts";
import type { PageSources } from "../../../../proxy/page/sources.ts";
import { listen, open, send } from "../harness.ts";
import { parts } from "./parts.ts";

class Sources implements PageSources {
  facts: SnapshotParts = parts;
  looks = 0;
  readonly listeners = new Set<() => void>();
  /** What LM Studio takes to answer. */
  answer: Promise<void> = Promise.resolve();

  snapshot() {
    return statusSnapshot(this.facts);
  }

  async look() {
    this.looks++;
    await this.answer;
  }

  onChange(listener: () => void) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  set(facts: Partial<SnapshotParts>) {
    this.facts = { ...this.facts, ...facts };
    for (const listener of this.listeners) listener();
  }
}

async function startPage(sources = new Sources()) {
  const page = new StatusPage(sources);
  const server = http.createServer((request, response) => {
    if (request.url === "/") void page.serve(request, response);
    else page.live(request, response);
  });
  const port = await listen(server);
  const dispose = async () => {
    page.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { page, port, sources, [Symbol.asyncDispose]: dispose };
}

/** The next event of a stream, parsed. */
async function event(stream: IncomingMessage): Promise<{ page: string; parts: Record<string, string> }> {
  let text = "";
  while (!/^data: .*\n\n/m.test(text)) text += String((await once(stream, "data"))[0]);
  return JSON.parse(text.match(/^data: (.*)$/m)?.[1] as string);
}

describe("the status page at /", () => {
  it("is HTML that nobody keeps, frames or guesses the type of", async () => {
    await using running = await startPage();
    const { status, headers, text } = await send(running.port, "/");
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "x-frame-options": "DENY",
    });
    expect(headers["content-security-policy"]).toContain("default-src 'none'");
    expect(text).toContain(`http://127.0.0.1:${running.port}/v1`);
  });

  it("answers HEAD like GET, without the page", async () => {
    await using running = await startPage();
    const whole = await send(running.port, "/");
    const head = await send(running.port, "/", { method: "HEAD" });
    expect(head).toMatchObject({ status: 200, text: "" });
    expect(head.headers["content-length"]).toBe(whole.headers["content-length"]);
  });

  it("comes even when LM Studio takes its time", async () => {
    const sources = new Sources();
    sources.answer = new Promise(() => {});
    await using running = await startPage(sources);
    expect((await send(running.port, "/")).status).toBe(200);
  });
});

describe("the live stream", () => {
  it("begins with everything, and goes on with what has changed", async () => {
    await using running = await startPage();
    const stream = await open(running.port, "/-/live");
    expect(stream.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
    const first = await event(stream);
    expect(Object.keys(first.parts)).toEqual(["state", "models", "cards", "errors", "codex", "process"]);
    running.sources.set({ readiness: { ready: false, reason: "LM Studio does not answer.", models: {} } });
    const second = await event(stream);
    expect(Object.keys(second.parts)).toEqual(["state"]);
    expect(second.parts.state).toContain("LM Studio does not answer.");
    stream.destroy();
  });

  it("takes 32 viewers and tells one more so", async () => {
    await using running = await startPage();
    const streams = await Promise.all(Array.from({ length: 32 }, () => open(running.port, "/-/live")));
    const refused = await send(running.port, "/-/live");
    expect(refused).toMatchObject({ status: 503, headers: { "retry-after": "5" } });
    expect(refused.text).toContain("Close one of them");
    for (const stream of streams) stream.destroy();
  });

  it("ends with the process, and is refused afterwards", async () => {
    await using running = await startPage();
    const stream = await open(running.port, "/-/live");
    stream.resume();
    running.page.close();
    await once(stream, "end");
    expect(stream.complete).toBe(true);
    expect((await send(running.port, "/-/live")).status).toBe(503);
  });

  it("asks nobody anything once the last viewer is gone", async () => {
    await using running = await startPage();
    const stream = await open(running.port, "/-/live");
    await event(stream);
    expect(running.sources.listeners.size).toBe(1);
    stream.destroy();
    await vi.waitFor(() => expect(running.sources.listeners.size).toBe(0));
  });
});

/** A viewer without a socket, which takes everything at once or nothing at all. */
class Viewer extends Writable {
  readonly events: string[] = [];

  constructor(takes: boolean) {
    super({
      highWaterMark: 1_000,
      write: (chunk: Buffer, _encoding, done) => {
        this.events.push(chunk.toString());
        if (takes) done();
      },
    });
  }

  writeHead() {}

  get data() {
    return this.events.filter((text) => text.startsWith("data:"));
  }
}

describe("the pace of the live stream", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  function watch(takes: boolean, viewer = new Viewer(takes)) {
    vi.useFakeTimers();
    const sources = new Sources();
    const page = new StatusPage(sources);
    const request = { method: "GET", headers: { host: "h" }, socket: {} } as IncomingMessage;
    page.live(request, viewer as unknown as ServerResponse);
    return { sources, page, viewer };
  }

  it("is one event a second, however much changes", async () => {
    const { sources, page, viewer } = watch(true);
    await vi.advanceTimersByTimeAsync(1_500);
    const before = viewer.data.length;
    for (let change = 0; change < 200; change++) {
      sources.set({ connections: change });
      await vi.advanceTimersByTimeAsync(50);
    }
    const events = viewer.data.length - before;
    expect(events).toBeGreaterThanOrEqual(8);
    expect(events).toBeLessThanOrEqual(11);
    expect(viewer.data.at(-1)).toMatch(/Connections<\/dt><dd>1[89]\d</);
    page.close();
  });

  it("is a sign of life every three seconds when nothing changes", async () => {
    const { page, sources, viewer } = watch(true);
    await vi.advanceTimersByTimeAsync(9_500);
    expect(viewer.data).toHaveLength(1);
    expect(viewer.events.filter((text) => text === ":\n\n")).toHaveLength(4);
    expect(sources.looks).toBe(4);
    page.close();
  });

  it("never fills the memory for a viewer that does not read, and lets it go in the end", async () => {
    const { page, sources, viewer } = watch(false);
    await vi.advanceTimersByTimeAsync(1_000);
    const held = viewer.writableLength;
    for (let change = 0; change < 18; change++) {
      sources.set({ connections: change });
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(viewer.writableLength).toBe(held);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(viewer.destroyed).toBe(true);
    expect(sources.listeners.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    page.close();
  });

  it("is nobody's for a viewer that left while its key was looked at", () => {
    const gone = new Viewer(true);
    gone.destroy();
    const { sources } = watch(true, gone);
    expect(sources.listeners.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
