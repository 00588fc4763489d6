/**
 * Makes a Mac of a test host, as far as anybody who comes by SSH can tell: `uname` says so, services are launchd's, and what tells about the system
 * are a Mac's commands. Its processor runs Linux's Node in place of a Mac's, and tells programs that they are on a Mac.
 */
import { join } from "node:path";
import { build } from "esbuild";
import { sudoersDropIn } from "../../infra/cli/prepare/sudoers.ts";
import { tools } from "../mac-sim/tools.ts";
import type { TestHost } from "./host.ts";

const folder = "/usr/local/lib/lmstack-test/mac";
const macSim = join(import.meta.dirname, "..", "mac-sim");

export async function becomeMac(host: TestHost): Promise<void> {
  const { outputFiles } = await build({
    entryPoints: [join(macSim, "daemon.ts")],
    ...{ bundle: true, write: false, platform: "node", format: "esm", target: "node26" },
    banner: { js: 'import{createRequire as r}from"node:module";const require=r(import.meta.url);' },
  });
  const put = (file: string, content: string | Uint8Array, mode = "0755") =>
    host.exec(`install -D -m ${mode} /dev/stdin ${file}`, { root: true, stdin: content });
  await put(`${folder}/daemon.mjs`, outputFiles[0]?.contents ?? "");
  await host.copyIn(join(macSim, "tool.mjs"), `${folder}/tool.mjs`, { owner: "root" });
  await host.copyIn(process.execPath, `${folder}/node`, { owner: "root", mode: "0755" });
  await put(`${folder}/darwin.mjs`, darwin);
  await put(`${folder}/mac-node`, macNode);
  // Where sudo's rules have it; the others come first on everybody's PATH.
  await put("/usr/bin/launchctl", command("launchctl"));
  for (const name of Object.keys(tools)) await put(`/usr/local/bin/${name}`, command(name));
  // launchd's jobs have a shorter PATH.
  await host.exec(
    `ln -sf ${Object.keys(tools)
      .map((name) => `/usr/local/bin/${name}`)
      .join(" ")} /usr/sbin/`,
    { root: true },
  );
  await put("/usr/local/bin/mv", mv);
  await put("/etc/sudoers.d/lmstack", sudoersDropIn(host.user, undefined, "Darwin"), "0440");
  await put("/etc/systemd/system/lmstack-test-launchd.service", unit, "0644");
  await host.exec(
    `systemctl enable --quiet --now lmstack-test-launchd.service; until [ -S ${socket} ]; do sleep 0.1; done`,
    {
      root: true,
    },
  );
}

const socket = "/run/lmstack-test-launchd.sock";
const command = (name: string) => `#!/bin/sh\nexec ${folder}/node ${folder}/tool.mjs ${socket} ${name} "$@"\n`;

const darwin = `for (const [key, value] of Object.entries({ platform: "darwin", arch: "arm64" }))
  Object.defineProperty(process, key, { value });
`;
const macNode = `#!/bin/sh\nexec ${folder}/node --import ${folder}/darwin.mjs "$@"\n`;

/** Whoever puts a Mac's Node in its place has put one there that runs here. */
const mv = `#!/bin/sh
if [ "$(head -c 4 "$2" 2>/dev/null | od -An -tx1 | tr -d ' ')" = cffaedfe ]; then cat ${folder}/mac-node >"$2"; fi
exec /usr/bin/mv "$@"
`;

/** Its jobs end with it: a Mac has no launchd that is started again. */
const unit = `[Unit]
Description=launchd of this test host

[Service]
ExecStart=${folder}/node ${folder}/daemon.mjs ${socket}
KillMode=control-group

[Install]
WantedBy=multi-user.target
`;
