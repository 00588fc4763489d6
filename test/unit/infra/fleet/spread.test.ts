/** A model's file comes to many hosts, each a home with a hostctl of its own. */
import { createHash, randomBytes } from "node:crypto";
import { open, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { listPieces, pieceBytes } from "../../../../hostctl/transfer/pieces.ts";
import type { Member } from "../../../../infra/fleet/distribution.ts";
import { type Session, spreadFiles } from "../../../../infra/fleet/spread.ts";
import { ShareSession } from "../../../../infra/model/share-session.ts";
import { hostLayout } from "../../../../infra/spec/host-layout.ts";
import { startPeer } from "../../../downloads/peer-link.ts";
import { Scratch } from "../../hostctl/scratch.ts";
import { Homes } from "../model/homes.ts";

const content = Buffer.concat([Buffer.from("GGUF"), randomBytes(8 * pieceBytes)]);
const sha256 = createHash("sha256").update(content).digest("hex");

class Site {
  readonly hosts = new Map<string, Scratch>();
  readonly told: string[] = [];
  readonly #homes: Homes;

  private constructor(homes: Homes) {
    this.#homes = homes;
  }

  static async make(...names: string[]): Promise<Site> {
    const homes = await Homes.make();
    onTestFinished(() => homes[Symbol.asyncDispose]());
    vi.stubEnv("PATH", homes.path);
    onTestFinished(() => vi.unstubAllEnvs() && undefined);
    const site = new Site(homes);
    for (const name of names) {
      const host = await Scratch.make({ lmstudio: false });
      onTestFinished(() => host[Symbol.asyncDispose]());
      await homes.add(host, name);
      site.hosts.set(name, host);
    }
    return site;
  }

  /** A host that has verified the file. */
  async give(name: string): Promise<void> {
    const host = this.#host(name);
    const path = join(host.models, "big.gguf");
    await writeFile(path, content);
    await host.must("converge", "model-file", host.model("alpha", { source: { path }, sha256 }));
  }

  /** Its file is another one by now, and its record of it says that all is well. */
  async spoil(name: string): Promise<void> {
    const host = this.#host(name);
    const path = join(host.models, "big.gguf");
    await using file = await open(path, "r+");
    await file.write(randomBytes(content.length), 0, content.length, 0);
    const { mtimeMs } = await file.stat();
    const folder = join(host.home, hostLayout.verified);
    for (const record of await readdir(folder)) {
      const told = JSON.parse(await readFile(join(folder, record), "utf8"));
      await writeFile(join(folder, record), JSON.stringify({ ...told, mtimeMs }));
    }
  }

  /** @param others hosts that are not ours */
  async spread(members: readonly Member[], others: Readonly<Record<string, Session>> = {}) {
    return await spreadFiles([{ sha256, what: "model alpha", members }], undefined, {
      open: async (host, order) =>
        others[host] ??
        ShareSession.open({ stack: host, owner: undefined, address: "127.0.0.1" }, order, this.#homes.infra, () => {}),
      credential: async () => "hub-token",
      tell: (host, words) => this.told.push(`${host} ${words}`),
    });
  }

  async got(name: string): Promise<boolean> {
    const stored = await readFile(join(this.#host(name).home, ".lmstack/store/sha256", sha256)).catch(() => null);
    return stored?.equals(content) === true;
  }

  #host(name: string): Scratch {
    return this.hosts.get(name) as Scratch;
  }
}

const member = (host: string, more: Partial<Member> = {}): Member => {
  return { host, site: "", has: false, urls: [], model: "alpha", ...more };
};

test("a host whose bytes are wrong poisons nobody and is left out, and nothing is shared any longer than that", async () => {
  const site = await Site.make("good", "bad", "box1", "box2", "box3");
  for (const name of ["good", "bad"]) await site.give(name);
  await site.spoil("bad");
  const has = { has: true };
  const all = [member("good", has), member("bad", has), member("box1"), member("box2"), member("box3")];
  expect(await site.spread(all)).toEqual([]);
  expect(await Promise.all(["box1", "box2", "box3"].map((name) => site.got(name)))).toEqual([true, true, true]);
  expect(site.told.join("\n")).toMatch(/box\d asks bad no more: piece \d+ is wrong/);
  for (const host of site.hosts.values()) await expect.poll(() => host.processes("hostctl")).toEqual([]);
});

test("a host that tells a wrong list of pieces holds nobody up for good", async () => {
  const site = await Site.make("bad", "good", "box1");
  for (const name of ["good", "bad"]) await site.give(name);
  await site.spoil("bad");
  const has = { has: true };
  expect(await site.spread([member("bad", has), member("good", has), member("box1")])).toEqual([]);
  expect(await site.got("box1")).toBe(true);
});

test("a file comes into each site once, and the others have it from there; who is out of reach is told", async () => {
  let downloads = 0;
  const origin = createServer((request, response) => {
    if (request.headers.authorization !== "Bearer hub-token") return void response.writeHead(401).end();
    downloads++;
    response.writeHead(200, { "content-length": content.length }).end(content);
  });
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => origin.close(() => resolve())));
  const urls = [`http://127.0.0.1:${(origin.address() as AddressInfo).port}/big.gguf`];
  const site = await Site.make("box1", "box2", "box3", "box4");
  const away = member("away", { urls });
  const all = ["box1", "box2", "box3", "box4"].map((name, index) =>
    member(name, { urls, site: index < 2 ? "a" : "b" }),
  );
  expect(await site.spread([away, ...all])).toMatchObject([{ host: "away", why: expect.stringMatching(/ssh_config/) }]);
  expect(await Promise.all([...site.hosts.keys()].map((name) => site.got(name)))).toEqual([true, true, true, true]);
  expect(downloads).toBe(2);
});

test("whoever has the file sends far less than everybody gets, because the others pass on what they have while more comes", async () => {
  const site = await Site.make("box1", "box2", "box3", "box4");
  const file = join((site.hosts.get("box1") as Scratch).models, "big.gguf");
  await writeFile(file, content);
  await using link = await startPeer({ file }, 40e6);
  const seed: Session = { url: link.url, ask: () => listPieces(file), [Symbol.dispose]: () => {} };
  const names = [...site.hosts.keys()];
  const all = [member("seed", { has: true }), ...names.map((name) => member(name))];
  expect(await site.spread(all, { seed })).toEqual([]);
  expect(await Promise.all(names.map((name) => site.got(name)))).toEqual([true, true, true, true]);
  // Of four copies. On a busy machine pieces are late, and asked for twice.
  expect(link.sent() / content.length).toBeLessThan(3.5);
});
