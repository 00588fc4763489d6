/** nginx with one worker, set up as for a relay of event streams: nothing is buffered, connections upstream are kept. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startChild, whenReady } from "../children.ts";
import { ensureProgram } from "./debian.ts";
import { accepting, freePort, type Peer } from "./peer.ts";

let program = "nginx";

export const nginx: Peer = {
  name: "nginx",
  slow: false,
  async prepare() {
    const found = await ensureProgram("nginx", "nginx-light", ["-v"]);
    program = found.program;
    return found.version;
  },
  async start({ backendPort, core, folder }) {
    const port = await freePort();
    const file = join(folder, "nginx.conf");
    await writeFile(file, configuration(port, backendPort, folder));
    const child = startChild([program, "-p", folder, "-c", file, "-e", "stderr"], { core });
    await whenReady(child, "nginx", accepting(port, 10));
    return { port, process: child };
  },
};

function configuration(port: number, backendPort: number, folder: string): string {
  return `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path ${folder}/nginx-body;
  proxy_temp_path ${folder}/nginx-proxy;
  fastcgi_temp_path ${folder}/nginx-fastcgi;
  uwsgi_temp_path ${folder}/nginx-uwsgi;
  scgi_temp_path ${folder}/nginx-scgi;
  keepalive_requests 1000000;
  client_max_body_size 64m;
  tcp_nodelay on;
  upstream lmstudio {
    server 127.0.0.1:${backendPort};
    keepalive 64;
    keepalive_requests 1000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://lmstudio;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 3600s;
    }
  }
}
`;
}
