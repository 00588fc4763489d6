/** HAProxy with one thread. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startChild, whenReady } from "../children.ts";
import { ensureProgram } from "./debian.ts";
import { accepting, freePort, type Peer } from "./peer.ts";

let program = "haproxy";

export const haproxy: Peer = {
  name: "haproxy",
  slow: false,
  async prepare() {
    const found = await ensureProgram("haproxy", "haproxy", ["-v"]);
    program = found.program;
    return found.version;
  },
  async start({ backendPort, core, folder }) {
    const port = await freePort();
    const file = join(folder, "haproxy.cfg");
    await writeFile(file, configuration(port, backendPort));
    const child = startChild([program, "-db", "-f", file], { core });
    await whenReady(child, "HAProxy", accepting(port, 10));
    return { port, process: child };
  },
};

function configuration(port: number, backendPort: number): string {
  return `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  option http-keep-alive
  option http-no-delay
  http-reuse always
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
listen lmstudio
  bind 127.0.0.1:${port}
  server lmstudio 127.0.0.1:${backendPort}
`;
}
