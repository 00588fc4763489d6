/** The image and what a container made from it may do. */
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "./client.ts";
import { type Place, startPlace } from "./place.ts";
import { user } from "./proxy-container.ts";

let place: Place;

beforeAll(async () => {
  place = await startPlace();
});

afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
});

describe("the container", () => {
  it("runs as nobody in particular, on a root that cannot be written, with no capability", async () => {
    const { proxy } = place;
    const { stdout } = await execa("docker", ["inspect", proxy.id]);
    const [inspected] = JSON.parse(stdout);
    expect(inspected.Config.User).toBe(user);
    expect(inspected.HostConfig.ReadonlyRootfs).toBe(true);
    const lines = await proxy.evaluate(
      'process.stdout.write(require("node:fs").readFileSync("/proc/1/status", "utf8"))',
    );
    const status = Object.fromEntries(lines.split("\n").map((line) => line.split(/:\s*/, 2) as [string, string]));
    expect(status.Uid?.split("\t")).toEqual(Array(4).fill("54321"));
    for (const name of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) expect(status[name]).toMatch(/^0+$/);
    expect(status.NoNewPrivs).toBe("1");
    await expect(proxy.evaluate('require("node:fs").writeFileSync("/app/x", "")')).rejects.toThrow("EROFS");
  });

  it("starts in a moment", async () => {
    const listening = async () => (await place.proxy.log()).find(({ msg }) => msg === "listening");
    await until("the start is in the log", async () => (await listening()) !== undefined);
    const milliseconds = (await listening())?.startupMs;
    console.log(`proxy started in ${milliseconds} ms (bar: 250)`);
    // The bar holds on an idle machine; this only catches a start that has become another one.
    expect(milliseconds).toBeLessThan(3_000);
  });

  it("leaves an admin socket in the shared folder that only its owner may use", async () => {
    const [socket = ""] = await place.proxy.folder.others();
    const mode = await place.proxy.evaluate(
      'console.log((require("node:fs").statSync(process.argv[1]).mode & 0o777).toString(8))',
      `/run/lmstack/${socket}`,
    );
    expect(mode).toBe("600");
  });
});

describe("the image", () => {
  it("is not root's by default, knows its health, and is small", async () => {
    const { stdout } = await execa("docker", ["image", "inspect", place.image]);
    const [inspected] = JSON.parse(stdout);
    console.log(`proxy image: ${(inspected.Size / 1e6).toFixed(1)} MB (bar: 190)`);
    expect(inspected.Size).toBeLessThanOrEqual(190e6);
    expect(inspected.Config.User).toBe("65532:65532");
    expect(inspected.Config.Healthcheck.Test).toEqual(["CMD", "/usr/local/bin/node", "/app/proxy.mjs", "health"]);
  });
});
