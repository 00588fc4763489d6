/** The admin sockets of the proxies that run on this host. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Host } from "../host.ts";
import { get } from "../http.ts";

/** Sockets of running proxies, the newest first: while one replaces another there are two. */
export async function adminSockets(host: Host): Promise<string[]> {
  const names = (await readdir(host.paths.proxy).catch(() => [])).filter((name) => /^admin-.*\.sock$/.test(name));
  const alive: { path: string; since: number }[] = [];
  for (const name of names) {
    const path = join(host.paths.proxy, name);
    const since = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
    if ((await get({ socketPath: path }, "/healthz", 1500)) !== null) alive.push({ path, since });
  }
  return alive.sort((a, b) => b.since - a.since).map(({ path }) => path);
}

/** Whether the proxy of an admin socket accepts connections of clients. */
export async function listensStill(socketPath: string): Promise<boolean> {
  const answer = await get({ socketPath }, "/healthz", 1500);
  return answer !== null && (JSON.parse(answer.body) as { listening?: boolean }).listening !== false;
}
