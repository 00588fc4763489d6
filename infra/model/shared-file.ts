/**
 * The convergence of a model's file that other hosts share meanwhile, run in the folder `infra` with the document on stdin:
 *   shared-file.ts ssh|local STACK OWNER|- [PEER_STACK PEER_OWNER|- PEER_ADDRESS]…
 * The key is made here for this one download, and goes to the hosts through pipes only.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { json } from "node:stream/consumers";
import { z } from "zod";

const documentSchema = z.looseObject({
  id: z.string(),
  source: z.looseObject({ peers: z.array(z.string()) }),
  sha256: z.union([z.string(), z.array(z.string())]),
});
const sharing = z.object({ ok: z.literal(true), observed: z.object({ port: z.int() }) });

/** A host that nobody asks any more stops sharing by itself: whoever asked may have been killed. */
const idleSeconds = 120;
/** For ssh and the start of hostctl; an older one says nothing. */
const openMs = 60_000;
/** Of how many ports from the first on one has to be free. */
const ports = { port: 8079, ports: 16 };

interface Peer {
  readonly stack: string;
  readonly owner: string;
  readonly address: string;
}

const onHost = (how: string, stack: string, owner: string, ...words: readonly string[]) =>
  ["host/on-host.sh", how, stack, owner, ...words] as const;

/** Null when that host cannot share; its own words are on stderr by then. */
async function openShare({ stack, owner, address }: Peer, keySha256: string, only: readonly string[]) {
  // Pipes of its own: a shared connection keeps what it was given open until the host stops sharing, and `pulumi up` would wait for that.
  const child = spawn("sh", onHost("ssh", stack, owner, "share"), { stdio: "pipe", detached: true });
  const host = address.includes(":") ? "::" : "0.0.0.0";
  child.stderr.pipe(process.stderr);
  child.stdin.on("error", () => {});
  child.stdin.end(JSON.stringify({ host, ...ports, keySha256, only, idleSeconds }));
  const timer = setTimeout(() => endGroup(child), openMs);
  for await (const line of createInterface(child.stdout)) {
    const { data } = sharing.safeParse(jsonOf(line));
    if (data === undefined) break;
    clearTimeout(timer);
    const bare = address.replace(/^\[(.*)\]$/, "$1");
    const url = `http://${bare.includes(":") ? `[${bare}]` : bare}:${data.observed.port}`;
    process.stderr.write(`${stack} shares the file at ${url}\n`);
    return { child, url };
  }
  clearTimeout(timer);
  endGroup(child);
  process.stderr.write(`note: ${stack} does not share the file\n`);
  return null;
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

/** The ssh below the shell too. */
function endGroup({ pid, stdout, stderr }: ChildProcess): void {
  stdout?.destroy();
  stderr?.destroy();
  try {
    if (pid !== undefined) process.kill(-pid);
  } catch {
    // It has ended by itself.
  }
}

async function main([how = "", stack = "", owner = "", ...words]: readonly string[]): Promise<number> {
  const document = documentSchema.parse(await json(process.stdin));
  const key = randomBytes(32).toString("base64url");
  const keySha256 = createHash("sha256").update(key).digest("hex");
  const peers = Array.from({ length: words.length / 3 }, (_, index) => {
    const [peer = "", peerOwner = "", address = ""] = words.slice(index * 3);
    return { stack: peer, owner: peerOwner, address };
  });
  const opened = await Promise.all(peers.map((peer) => openShare(peer, keySha256, [document.sha256].flat())));
  const shares = opened.filter((share) => share !== null);
  try {
    const { source } = document;
    const asked = { ...source, peers: [...source.peers, ...shares.map(({ url }) => url)] };
    const child = spawn("sh", onHost(how, stack, owner, "converge", "model-file"), {
      stdio: ["pipe", "inherit", "inherit"],
    });
    child.stdin.on("error", () => {});
    child.stdin.end(JSON.stringify({ ...document, source: asked, credential: key }));
    const [code] = await once(child, "close");
    return typeof code === "number" ? code : 1;
  } finally {
    for (const { child } of shares) endGroup(child);
  }
}

process.exitCode = await main(process.argv.slice(2));
