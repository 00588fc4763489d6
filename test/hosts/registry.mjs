/**
 * A registry as far as `docker push` and `docker pull` by digest need one: in memory, on loopback, without keys. It runs on a test host, where
 * no registry can be reached: `node registry.mjs PORT`.
 */
import { createHash, randomUUID } from "node:crypto";
import { createServer } from "node:http";

const blobs = new Map();
const manifests = new Map();
const uploads = new Map();
const digestOf = (bytes) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://registry");
  const [, name, kind, rest] = /^\/v2\/(.+)\/(blobs\/uploads|blobs|manifests)\/(.*)$/.exec(url.pathname) ?? [];
  const answer = (status, headers = {}, bytes = undefined) => response.writeHead(status, headers).end(bytes);
  if (url.pathname === "/v2/") return answer(200);
  if (kind === "blobs/uploads") {
    const id = rest || randomUUID();
    const received = Buffer.concat([uploads.get(id) ?? Buffer.alloc(0), await body(request)]);
    const digest = url.searchParams.get("digest");
    if (request.method === "PUT" && digest !== null) {
      uploads.delete(id);
      blobs.set(digest, received);
      return answer(201, { location: `/v2/${name}/blobs/${digest}`, "docker-content-digest": digest });
    }
    uploads.set(id, received);
    return answer(202, { location: `/v2/${name}/blobs/uploads/${id}`, range: `0-${Math.max(0, received.length - 1)}` });
  }
  if (kind === "manifests" && request.method === "PUT") {
    const bytes = await body(request);
    const manifest = { bytes, type: request.headers["content-type"] };
    for (const reference of [rest, digestOf(bytes)]) manifests.set(`${name}/${reference}`, manifest);
    return answer(201, { "docker-content-digest": digestOf(bytes) });
  }
  const found =
    kind === "blobs" ? { bytes: blobs.get(rest), type: "application/octet-stream" } : manifests.get(`${name}/${rest}`);
  if (found?.bytes === undefined) return answer(404);
  const headers = {
    "content-type": found.type,
    "content-length": found.bytes.length,
    "docker-content-digest": digestOf(found.bytes),
  };
  return answer(200, headers, request.method === "HEAD" ? undefined : found.bytes);
});

server.listen(Number(process.argv[2]), "127.0.0.1");
