import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { installCommand } from "../../../infra/setup/apt.mjs";
import { ensureDocker, ping } from "../../../infra/setup/docker.mjs";

let folder: string;
let server: Server | undefined;
let said: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lmstack-docker-"));
  said = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    said += text;
    return true;
  });
});
afterEach(async () => {
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
  rmSync(folder, { recursive: true });
});

async function daemon(status: number): Promise<string> {
  const socket = join(folder, "docker.sock");
  server = createServer((_, response) => response.writeHead(status).end("OK"));
  await new Promise<void>((resolve) => server?.listen(socket, resolve));
  return socket;
}

test("a daemon that answers is used as it is", async () => {
  const socket = await daemon(200);
  expect(await ping(socket)).toBe("ok");
  expect(await ensureDocker({ DOCKER_HOST: `unix://${socket}` })).toBe("ok");
});

test("a daemon that is named and does not answer: set-up goes on without one and gives the commands", async () => {
  const socket = await daemon(500);
  expect(await ping(socket)).toBe("absent");
  expect(await ping(join(folder, "nothing.sock"))).toBe("absent");
  expect(await ensureDocker({ DOCKER_HOST: `unix://${socket}`, PATH: "" })).toBe("none");
  expect(said).toContain("going on without it");
  expect(said).toMatch(/install|docs\.docker\.com/);
});

test("the command to type names every missing package", () => {
  expect(installCommand(["docker.io", "iptables"])).toBe(
    "apt-get update && apt-get install -y --no-install-recommends docker.io iptables",
  );
});
