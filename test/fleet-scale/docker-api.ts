/** As much of Docker's API as the provider needs to make, look at, and remove a container that never runs. */
import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import { json } from "node:stream/consumers";
import { z } from "zod";

const creation = z.looseObject({
  Image: z.string(),
  Labels: z.record(z.string(), z.string()).default({}),
  HostConfig: z.looseObject({}).default({}),
});

export interface Container {
  readonly name: string;
  readonly config: z.output<typeof creation>;
  running: boolean;
}

const image = { Id: `sha256:${"a".repeat(64)}`, RepoTags: [] };

/** Not listening: it takes connections that it is given. */
export function dockerApi(containers: Map<string, Container>): Server {
  // As Docker does: a connection at rest stays. One that was closed met a POST, which is never sent again.
  return createServer({ keepAliveTimeout: 0 }, async (request, response) => {
    const answer = (status: number, body?: unknown): void => {
      response.writeHead(status, { "content-type": "application/json", "api-version": "1.47", ostype: "linux" });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    };
    const url = new URL(request.url ?? "/", "http://docker");
    const path = url.pathname.replace(/^\/v1\.\d+/, "");
    const [, id = "", act = ""] = /^\/containers\/([0-9a-f]{64})(?:\/(\w+))?$/.exec(path) ?? [];
    const one = containers.get(id);
    const call = `${request.method} ${one ? `/containers/ID/${act}` : path}`;
    switch (call) {
      case "HEAD /_ping":
      case "GET /_ping":
        return answer(200);
      case "GET /info":
        return answer(200, {});
      case "GET /images/json":
        return answer(200, [image]);
      case "GET /containers/json":
        return answer(
          200,
          [...containers].map(([Id, { name }]) => ({ Id, Names: [`/${name}`] })),
        );
      case "POST /containers/create": {
        const made = randomBytes(32).toString("hex");
        const config = creation.parse(await json(request));
        containers.set(made, { name: url.searchParams.get("name") ?? made, config, running: false });
        return answer(201, { Id: made, Warnings: [] });
      }
      case "GET /containers/ID/json":
        return answer(200, inspected(id, one as Container));
      case "POST /containers/ID/start":
        (one as Container).running = true;
        return answer(204);
      case "POST /containers/ID/stop":
        (one as Container).running = false;
        return answer(204);
      case "DELETE /containers/ID/":
        containers.delete(id);
        return answer(204);
      default:
        // Every image is there, whatever it is called.
        if (/^GET \/images\/.+\/json$/.test(call)) return answer(200, image);
        return answer(404, { message: `No such container: ${call}` });
    }
  });
}

const inspected = (Id: string, { name, config, running }: Container) => ({
  Id,
  Name: `/${name}`,
  Image: image.Id,
  State: { Running: running, Status: running ? "running" : "exited", ExitCode: 0 },
  Config: config,
  HostConfig: { RestartPolicy: { Name: "no", MaximumRetryCount: 0 }, ...config.HostConfig },
  NetworkSettings: { Networks: {} },
  Mounts: [],
});
