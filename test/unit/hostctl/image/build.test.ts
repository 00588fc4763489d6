import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hostAt } from "../../../../hostctl/host.ts";
import { parseLdd } from "../../../../hostctl/image/base.ts";
import { buildProxyImage, officialBase } from "../../../../hostctl/image/build.ts";

/** A docker that writes down what it is asked and does as the files beside it say. */
const fakeDocker = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/calls"
for last; do :; done
case "$1 $2" in
  "image inspect")
    [ -e "$here/down" ] && { echo "Cannot connect to the Docker daemon" >&2; exit 1; }
    grep -qxF "$last" "$here/images" && { echo "sha256:of-$last"; exit 0; }
    echo "Error: No such image: $last" >&2; exit 1 ;;
  "pull --quiet") [ -e "$here/reachable" ] && exit 0; echo "no route" >&2; exit 1 ;;
  "import "*) echo "$last" >> "$here/images"; echo sha256:base ;;
  "build "*)
    case "$*" in *BASE=official/base*) echo sha256:on-official ;; *) echo sha256:on-local ;; esac ;;
  "run "*)
    case "$*" in *on-official*) [ -e "$here/official-broken" ] && { echo "libfoo.so: cannot open" >&2; exit 127; } ;; esac ;;
  "tag "*) echo "$last" >> "$here/images" ;;
esac
exit 0
`;

const dockerfile = "# x\nARG BASE=official/base@sha256:1\nFROM $BASE\n";
const tag = "lmstack-proxy:0123456789ab";
let folder: string;
const file = (name: string) => join(folder, name);
const calls = async () => (await readFile(file("calls"), "utf8")).trim().split("\n");
const build = () =>
  buildProxyImage(
    hostAt(folder, () => {}),
    {
      contextFiles: { node: process.execPath, program: file("proxy.mjs"), dockerfile: file("Dockerfile") },
      tag,
      scratch: file("scratch"),
      docker: file("docker"),
    },
  );

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lmstack-image-test-"));
  await mkdir(file("scratch"));
  await writeFile(file("docker"), fakeDocker);
  await chmod(file("docker"), 0o755);
  await writeFile(file("images"), "");
  await writeFile(file("proxy.mjs"), "");
  await writeFile(file("Dockerfile"), dockerfile);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("building the proxy's image", () => {
  it("does nothing when the image is there", async () => {
    await writeFile(file("images"), `${tag}\n`);
    expect(await build()).toEqual({ imageId: `sha256:of-${tag}`, base: null });
    expect(await calls()).toHaveLength(1);
  });

  it("uses the official base where it can be pulled, and names the image only after it has run", async () => {
    await writeFile(file("reachable"), "");
    expect(await build()).toEqual({ imageId: "sha256:on-official", base: "official/base@sha256:1" });
    const verbs = (await calls()).map((line) => line.split(" ")[0]);
    expect(verbs.slice(-3)).toEqual(["build", "run", "tag"]);
  });

  it("makes a base of the host's own libraries where no registry answers", async () => {
    const built = await build();
    expect(built.imageId).toBe("sha256:on-local");
    expect(built.base).toMatch(/^lmstack-proxy-base:[0-9a-f]{12}$/);
  });

  it("falls back to it when the official base cannot run Node", async () => {
    await writeFile(file("reachable"), "");
    await writeFile(file("official-broken"), "");
    expect((await build()).imageId).toBe("sha256:on-local");
    expect((await calls()).filter((line) => line.startsWith("tag"))).toEqual([`tag sha256:on-local ${tag}`]);
  });

  it("leaves nothing in the scratch folder", async () => {
    await build();
    expect(await readdir(file("scratch"))).toEqual([]);
  });

  it("says who cannot use Docker, and what to do", async () => {
    await writeFile(file("down"), "");
    await expect(build()).rejects.toMatchObject({
      code: "docker_unavailable",
      message: expect.stringContaining("Cannot connect to the Docker daemon"),
      hint: expect.stringContaining("host prepare"),
    });
  });
});

describe("reading ldd", () => {
  const output = [
    "\tlinux-vdso.so.1 (0x00007ffd)",
    "\tlibatomic.so.1 => /lib/x86_64-linux-gnu/libatomic.so.1 (0x00007fab860bf000)",
    "\tlibfoo.so.2 => not found",
    "\t/lib64/ld-linux-x86-64.so.2 (0x00007fab860dc000)",
  ].join("\n");

  it("finds the libraries and the loader, and names what is missing", () => {
    expect(parseLdd(output)).toEqual({
      files: ["/lib/x86_64-linux-gnu/libatomic.so.1", "/lib64/ld-linux-x86-64.so.2"],
      missing: ["libfoo.so.2"],
    });
  });
});

it("the Dockerfile of the repository names a base by digest", async () => {
  const text = await readFile(join(import.meta.dirname, "../../../../images/proxy/Dockerfile"), "utf8");
  expect(officialBase(text)).toMatch(/@sha256:[0-9a-f]{64}$/);
});
