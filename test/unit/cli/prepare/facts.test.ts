import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseFacts, probeScript } from "../../../../infra/cli/prepare/facts.ts";

const answer = [
  ...[
    "host=box",
    "kernel=Linux",
    "distro=Ubuntu 24.04.3 LTS",
    "apt=yes",
    "systemd=yes",
    "rootBy=password",
    "exists=yes",
  ],
  ...[
    "groups=gpu docker",
    "lingers=no",
    "missing=libgomp1",
    "missing=sudo",
    "docker=28.2.2",
    "running=yes",
    "card=yes",
  ],
  ...["driver=580.95.05", "toolkit=no", "sudoers=(ALL) NOPASSWD: ALL = everything", "models=yes", ""],
].join("\n");

describe("the probe of a box", () => {
  it("is read into facts", () => {
    const listings: string[] = [];
    const facts = parseFacts(answer, "gpu", "/models", (text) => listings.push(text) > 0);
    expect(listings).toEqual(["(ALL) NOPASSWD: ALL = everything"]);
    expect(facts).toEqual({
      host: "box",
      kernel: "Linux",
      distro: { name: "Ubuntu 24.04.3 LTS", apt: true },
      systemd: true,
      rootBy: "password",
      user: { name: "gpu", exists: true, groups: ["gpu", "docker"], lingers: false },
      login: null,
      missingPackages: ["libgomp1", "sudo"],
      docker: { version: "28.2.2", running: true },
      nvidia: { card: true, driver: "580.95.05", toolkit: false },
      dropIn: true,
      models: { path: "/models", readable: true },
    });
  });

  it("knows another user who connects, and that the drop-in has to hand over to the owner then", () => {
    const read = (login: string, hands: boolean) =>
      parseFacts(
        `${answer}login=${login}\nloginGroups=admin docker\n`,
        "gpu",
        null,
        () => true,
        () => hands,
      );
    expect(read("admin", true)).toMatchObject({ login: { name: "admin", groups: ["admin", "docker"] }, dropIn: true });
    expect(read("admin", false).dropIn).toBe(false);
    expect(read("root", false)).toMatchObject({ login: null, dropIn: true });
  });

  it("is refused with what came instead when something else than a shell answers", () => {
    expect(() => parseFacts("This account is currently not available.", "gpu", null, () => false)).toThrow(
      /did not answer.*not available/,
    );
  });

  describe("on this machine", () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "probe it's "));
    });
    afterAll(() => rm(folder, { recursive: true }));

    it.skipIf(process.platform === "win32")(
      "runs in a plain sh, whatever the names of folder and user are",
      async () => {
        const probe = async (user: string, models: string | null) =>
          parseFacts(
            (await execa("sh", ["-euc", probeScript(user, models)], { reject: false })).stdout,
            user,
            models,
            () => false,
          );
        const here = await probe(userInfo().username, folder);
        expect(here.kernel).toBe(process.platform === "darwin" ? "Darwin" : "Linux");
        expect(here.user.exists).toBe(true);
        expect(here.models).toEqual({ path: folder, readable: true });
        const nowhere = await probe("no such; touch user", "/no such folder");
        expect(nowhere.user).toMatchObject({ exists: false, groups: [] });
        expect(nowhere.models?.readable).toBe(false);
      },
    );
  });
});
