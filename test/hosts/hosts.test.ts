import { rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { prepare } from "../../infra/cli/host-prepare.ts";
import { rootCommands } from "../../infra/cli/prepare/sudoers.ts";
import { type Box, startBox, thinker } from "../e2e/box.ts";
import { ancestorFiles, prepareAsAncestor } from "./ancestor.ts";
import { removeHosts, startHost, type TestHost } from "./host.ts";
import { folder } from "./identity.ts";
import { putTinyImage, tinyImage } from "./tiny-image.ts";

// Names of their own for each run of this file: two checkouts may test on one machine.
const run = `t${process.pid.toString(36)}`;
const query = "/usr/bin/nvidia-smi --query-gpu=name,memory.total --format=csv,noheader";

describe("a prepared host", { timeout: 120_000 }, () => {
  let host: TestHost;
  beforeAll(async () => {
    host = await startHost({ name: `${run}-ready`, onProgress: console.error });
    await putTinyImage(host);
  }, 600_000);
  afterAll(() => host?.remove());

  it("is entered over SSH with the pinned key, by a user who is not root and whose home others cannot read", async () => {
    const { stdout } = await host.ssh('whoami; id -u; stat -c "%a %U" ~');
    expect(stdout).toBe("gpu\n1000\n750 gpu\n");
    const elsewhere = host.sshArgs.map((word) => word.replace(host.knownHostsFile, "/dev/null"));
    const unpinned = await execa("ssh", [...elsewhere, "true"], { reject: false });
    expect(unpinned.exitCode).toBe(255);
    expect(unpinned.stderr).toContain("Host key verification failed");
  });

  it("runs containers for that user", async () => {
    const { stdout } = await host.ssh(`docker run --rm --network host ${tinyImage} /bin/busybox echo from inside`);
    expect(stdout).toBe("from inside\n");
  });

  it("gives a container the card when it asks for it, and only then", async () => {
    const hardened =
      "--read-only --cap-drop ALL --security-opt no-new-privileges --user 1000:1000 -e NVIDIA_DRIVER_CAPABILITIES=utility";
    const asked = await host.ssh(`docker run --rm --gpus all ${hardened} ${tinyImage} ${query}`);
    expect(asked.stdout).toBe("NVIDIA GeForce RTX 5090, 32607 MiB\n");
    const silent = await host.ssh(`docker run --rm ${tinyImage} ${query}`, { reject: false });
    expect(silent.exitCode).toBe(127);
  });

  it("refuses the card when the container hook is broken, and gives it again when it is mended", async () => {
    const flag = "/etc/lmstack-test/gpu-hook-broken";
    await host.exec(`touch ${flag}`, { root: true });
    const broken = await host.ssh(`docker run --rm --gpus all ${tinyImage} ${query}`, { reject: false });
    expect(broken.exitCode).not.toBe(0);
    expect(broken.stderr).toContain("driver/library version mismatch");
    await host.exec(`rm ${flag}`, { root: true });
    expect((await host.ssh(`docker run --rm --gpus all ${tinyImage} ${query}`)).exitCode).toBe(0);
  });

  it("lets the user do as root what the drop-in lists, and nothing else", async () => {
    const listed = rootCommands().map((command) => `sudo -n -l ${command} >/dev/null || echo refused: ${command}`);
    expect((await host.ssh(listed.join("\n"))).stdout).toBe("");
    const content = "[Service]\nExecStart=/bin/true\n";
    await host.ssh("sudo -n install -m 0644 /dev/stdin /etc/systemd/system/lmstack-proxy.service", { stdin: content });
    await host.ssh("sudo -n systemctl daemon-reload && sudo -n systemctl start lmstack-proxy.service");
    expect((await host.exec("cat /etc/systemd/system/lmstack-proxy.service")).stdout).toBe(content);
    await host.ssh("sudo -n rm -f /etc/systemd/system/lmstack-proxy.service && sudo -n systemctl daemon-reload");
    for (const command of [
      "sudo -n true",
      "sudo -n systemctl stop ssh.service",
      "sudo -n systemctl stop lmstack-proxy.service ssh.service",
      "sudo -n systemctl enable --now lmstack-proxy.service",
      "sudo -n rm -f /etc/shadow",
      "sudo -n rm -f /etc/systemd/system/lmstack-proxy.service /etc/shadow",
      "sudo -n install -m 4755 /dev/stdin /etc/systemd/system/lmstack-proxy.service",
    ]) {
      expect({ command, exitCode: (await host.ssh(command, { reject: false })).exitCode }).toEqual({
        command,
        exitCode: 1,
      });
    }
  });

  it("comes back from a reboot by itself: address, host key, SSH, Docker with its images, models, user services", async () => {
    await host.copyIn(join(import.meta.dirname, "hosts.test.ts"), "/models/a model.gguf", { mode: "0644" });
    await host.ssh("echo kept >kept.txt");
    const before = (await host.exec("cat /proc/sys/kernel/random/boot_id; stat -c %Z /proc/1")).stdout;
    await host.reboot();
    expect((await host.exec("cat /proc/sys/kernel/random/boot_id; stat -c %Z /proc/1")).stdout).not.toBe(before);
    const { stdout } = await host.ssh(
      `cat kept.txt; stat -c "%U %a" "/models/a model.gguf"; systemctl --user is-system-running`,
    );
    expect(stdout).toBe("kept\ngpu 644\nrunning\n");
    expect((await host.ssh(`docker run --rm --gpus all ${tinyImage} ${query}`)).exitCode).toBe(0);
  });

  it("answers nobody while it is paused, and is there again afterwards", async () => {
    await host.pause();
    const banner = new Promise<string>((resolve, reject) => {
      const socket = connect(host.port, host.address);
      socket.setTimeout(700, () => resolve("silence"));
      socket.on("data", (data) => resolve(String(data))).on("error", reject);
      socket.on("close", () => resolve("closed"));
    });
    expect(await banner).toBe("silence");
    await host.unpause();
    expect((await host.ssh("echo back")).stdout).toBe("back\n");
  });

  it("is used again when it runs with the same settings, and made anew when they differ", async () => {
    const again = await startHost({ name: host.name, reuse: true });
    expect((await again.ssh("cat kept.txt")).stdout).toBe("kept\n");
    const other = await startHost({ name: host.name, reuse: true, gpu: false });
    expect((await other.ssh("ls kept.txt; command -v nvidia-smi", { reject: false })).stdout).toBe("");
    const refused = await other.ssh("docker run --rm --gpus all none:1", { reject: false });
    expect(refused.exitCode).not.toBe(0);
  });

  it("is removed with everything it brought, as often as asked", async () => {
    await host.remove();
    await host.remove();
    await removeHosts(host.name);
    await expect(host.exec("true")).rejects.toThrow(/No such container/);
    await rm(join(folder, host.name), { recursive: true, force: true });
  });
});

describe("a bare host", { timeout: 400_000 }, () => {
  let host: TestHost;
  const said: string[] = [];
  const printed: string[] = [];
  const prepareIt = (options: object = {}) => {
    said.length = 0;
    const { address, port, user, identityFile: identity, hostKey } = host;
    const asked = { host: address, port, user, identity, hostKey, yes: true, models: "/models/gguf", ...options };
    return prepare(
      asked,
      (line) => said.push(line),
      (script) => printed.push(script),
    );
  };
  beforeAll(async () => {
    host = await startHost({ name: `${run}-bare`, prepared: false, onProgress: console.error });
  }, 600_000);
  afterAll(() => host?.remove());

  it("is not touched by --print, which prints the very script that would run", async () => {
    expect(await prepareIt({ print: true })).toBe(0);
    expect(printed.join()).toMatch(/^#!\/bin\/sh\n[\s\S]*docker\.io[\s\S]*visudo/);
    expect(
      (await host.ssh("command -v docker; ls /etc/sudoers.d/lmstack /models/gguf", { reject: false })).stdout,
    ).toBe("");
  });

  it("is brought by `host prepare` to where Docker and the drop-in work, with each root command shown", async () => {
    expect((await host.ssh("command -v docker; ls /etc/sudoers.d/lmstack", { reject: false })).stdout).toBe("");
    expect(await prepareIt()).toBe(0);
    expect(said.join("\n")).toContain("usermod -aG docker gpu");
    expect(said.join("\n")).toContain(`NOPASSWD: ${rootCommands()[0]}`);
    // What the box had before prepare is taken away: from here on only the drop-in speaks.
    await host.exec("rm /etc/sudoers.d/test-bare", { root: true });
    await putTinyImage(host);
    expect((await host.ssh(`docker run --rm ${tinyImage} /bin/busybox echo up`)).stdout).toBe("up\n");
    expect((await host.ssh("sudo -n systemctl daemon-reload")).exitCode).toBe(0);
    expect((await host.ssh("sudo -n true", { reject: false })).exitCode).toBe(1);
    expect((await host.exec("stat -c '%U %a' /models/gguf /etc/sudoers.d/lmstack", { root: true })).stdout).toBe(
      "gpu 755\nroot 440\n",
    );
  });

  it("has nothing left to do the second time but what could not be reached", async () => {
    expect(await prepareIt({ print: true })).toBe(0);
    const toDo = said.filter((line) => line.includes("[to do]"));
    expect(toDo.filter((line) => !line.includes("nvidia-toolkit"))).toEqual([]);
  });
});

describe("a host on which the ancestor's script ran", { timeout: 120_000 }, () => {
  let box: Box;
  beforeAll(async () => {
    box = await startBox({ name: `${run}-old`, docker: false, realModel: false, onProgress: console.error });
    const { installer, models } = box;
    await prepareAsAncestor(box.host, {
      tarball: installer.url.slice("file://".length),
      gguf: models[0]?.path ?? "",
      identifier: thinker,
      contextLength: 32768,
    });
  }, 600_000);
  afterAll(() => removeHosts(`${run}-old`));

  it("has a linked model loaded, LM Studio on loopback, and the Python proxy on all addresses with its pid file", async () => {
    const loaded = JSON.parse((await box.host.ssh("~/.lmstudio/bin/lms ps --json")).stdout);
    expect(loaded).toMatchObject([{ identifier: thinker, contextLength: 32768, parallel: 2 }]);
    const { stdout } = await box.host.ssh(
      `readlink ~/.lmstudio/models/local/*/*.gguf; ss -Hltn | awk '/:808[01] /{print $4}' | sort; tr '\\0' ' ' </proc/$(cat ~/${ancestorFiles.pid})/cmdline`,
    );
    expect(stdout).toBe(
      `${box.models[0]?.path}\n0.0.0.0:8080\n127.0.0.1:8081\npython3 /home/gpu/${ancestorFiles.program} 0.0.0.0 8080 8081 `,
    );
    const answer = await fetch(`http://${box.host.address}:8080/v1/models`);
    expect(JSON.stringify(await answer.json())).toContain(thinker);
  });
});
