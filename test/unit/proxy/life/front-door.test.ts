import { once } from "node:events";
import http, { type ServerResponse } from "node:http";
import net, { type AddressInfo } from "node:net";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DoorLimits, FrontDoor } from "../../../../proxy/life/front-door.ts";
import { open, send, until } from "../harness.ts";

const local = { host: "127.0.0.1", port: 0, reusePort: process.platform === "linux" };

describe("the front door", () => {
  let door: FrontDoor;
  let limits: DoorLimits;
  let lines: Record<string, unknown>[];
  let answers: ServerResponse[];
  let port: number;

  beforeEach(async () => {
    limits = { connections: 100, readerSeconds: 300 };
    lines = [];
    answers = [];
    // No server lets go of an idle connection by itself here.
    const server = http.createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
      if (request.url === "/now") response.end("now");
      else {
        response.flushHeaders();
        answers.push(response);
      }
    });
    const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
    door = new FrontDoor(server, () => limits, log);
  });
  afterEach(() => door.drain(0));

  const listen = async () => {
    ({ port } = (await door.listen(local)) as AddressInfo);
  };
  const connected = async () => {
    const socket = net.connect(port, "127.0.0.1");
    await once(socket, "connect");
    return socket;
  };

  it("closes connections beyond the limit at once, lets the others be, and tells of it in one line", async () => {
    limits = { ...limits, connections: 2 };
    await listen();
    const first = await open(port, "/stream");
    const second = await connected();
    await until("two are in", () => door.connections === 2);
    for (let i = 0; i < 3; i++) await expect(send(port, "/now")).rejects.toThrow(/ECONNRESET|socket hang up/);
    expect(lines).toEqual([expect.objectContaining({ connections: 2, turnedAway: 1 })]);
    expect(door.refused.turnedAway).toBe(3);
    second.destroy();
    await until("there is room", () => door.connections === 1);
    expect((await send(port, "/now")).text).toBe("now");
    answers[0]?.end();
    first.resume();
  });

  it("does not count what comes by the admin socket among the clients", async () => {
    limits = { ...limits, connections: 0 };
    const socketPath = `/tmp/lmstack-door-${process.pid}.sock`;
    await door.openAdmin(socketPath);
    expect((await send(0, "/now", { socketPath })).text).toBe("now");
    expect(door.connections).toBe(0);
  });

  it("cuts off a client that takes nothing of its answer, also while it drains", async () => {
    limits = { ...limits, readerSeconds: 0.2 };
    await listen();
    const socket = await connected();
    socket.pause().on("error", () => {});
    socket.write("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("it is asked for", () => answers.length === 1);
    const cut = once(answers[0] as ServerResponse, "close");
    answers[0]?.write(Buffer.alloc(64 * 2 ** 20));
    const draining = door.drain(60_000);
    await cut;
    expect(await draining).toBe(0);
    expect(lines.filter(({ msg }) => String(msg).includes("takes nothing"))).toHaveLength(1);
    expect(door.refused.slowReaders).toBe(1);
    socket.destroy();
  });

  it("bears with a client that takes its answer slowly", async () => {
    limits = { ...limits, readerSeconds: 1 };
    await listen();
    const size = 24 * 2 ** 20;
    const socket = await connected();
    socket.pause().write("GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    await until("it is asked for", () => answers.length === 1);
    answers[0]?.end(Buffer.alloc(size));
    let taken = 0;
    socket.on("data", (chunk: Buffer) => {
      taken += chunk.length;
      socket.pause();
      // At most 64 KiB each time: longer than the limit in all.
      setTimeout(() => socket.resume(), 4);
    });
    socket.resume();
    await once(socket, "end");
    expect(taken).toBeGreaterThan(size);
  });

  it("lets go of what lies idle when a successor serves, and of the rest when its answer is through", async () => {
    await listen();
    const agent = new http.Agent({ keepAlive: true });
    const idle = await open(port, "/now", { agent });
    const gone = once(idle.socket, "close");
    idle.resume();
    await once(idle, "end");
    const running = await open(port, "/stream", { agent: new http.Agent({ keepAlive: true }) });
    const runningGone = once(running.socket, "close");
    running.resume();
    door.stopListening();
    await gone;
    expect(door.listening).toBe(false);
    expect(running.socket.destroyed).toBe(false);
    answers[0]?.end("end");
    await once(running, "end");
    expect(running.complete).toBe(true);
    await runningGone;
    agent.destroy();
  });

  it("still serves a connection that was accepted before and asks after", async () => {
    await listen();
    const early = await connected();
    await until("it is in", () => door.connections === 1);
    door.stopListening();
    let text = "";
    early.on("data", (chunk: Buffer) => {
      text += chunk;
    });
    early.write("GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("it is answered", () => text.includes("now"));
    early.destroy();
  });

  it("never meets the next request of a client with a closed connection: who was just answered may ask once more", async () => {
    await listen();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const first = await open(port, "/stream", { agent });
    first.resume();
    door.stopListening();
    answers[0]?.end("end");
    await once(first, "end");
    // On another connection it would be refused: nobody listens any more.
    const second = await open(port, "/now", { agent });
    second.resume();
    await once(second, "end");
    expect(second.complete).toBe(true);
    agent.destroy();
  });

  it("listens again on the very port it had, unless it ends", async () => {
    await listen();
    door.stopListening();
    expect(await door.listenAgain()).toBe(true);
    expect((await send(port, "/now")).text).toBe("now");
    door.stopListening();
    const draining = door.drain(0);
    expect(await door.listenAgain()).toBe(false);
    await draining;
    await expect(send(port, "/now")).rejects.toThrow("ECONNREFUSED");
  });
});
