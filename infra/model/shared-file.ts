/**
 * The convergence of a model's file that other hosts share meanwhile, run in the folder `infra` with the document on stdin:
 *   shared-file.ts ssh|local STACK OWNER|- [PEER_STACK PEER_OWNER|- PEER_ADDRESS]…
 * The key is made here for this one download, and goes to the hosts through pipes only.
 */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { json } from "node:stream/consumers";
import { z } from "zod";
import { ShareSession } from "./share-session.ts";

const documentSchema = z.looseObject({
  id: z.string(),
  source: z.looseObject({ peers: z.array(z.string()) }),
  sha256: z.union([z.string(), z.array(z.string())]),
});

async function main([how = "", stack = "", owner = "", ...words]: readonly string[]): Promise<number> {
  const document = documentSchema.parse(await json(process.stdin));
  const key = randomBytes(32).toString("base64url");
  const order = { keySha256: createHash("sha256").update(key).digest("hex"), only: [document.sha256].flat() };
  const open = async (index: number): Promise<ShareSession | null> => {
    const [peer = "", peerOwner = "", address = ""] = words.slice(index * 3);
    const host = { stack: peer, owner: peerOwner, address };
    try {
      const session = await ShareSession.open(host, order, process.cwd(), (line) => console.error(line));
      console.error(`${peer} shares the file at ${session.url}`);
      return session;
    } catch (error) {
      console.error(`note: ${peer} does not share the file: ${error instanceof Error ? error.message : error}`);
      return null;
    }
  };
  const opened = await Promise.all(Array.from({ length: words.length / 3 }, (_, index) => open(index)));
  const shares = opened.filter((share) => share !== null);
  try {
    const { source } = document;
    const asked = { ...source, peers: [...source.peers, ...shares.map(({ url }) => url)] };
    const child = spawn("sh", ["host/on-host.sh", how, stack, owner, "converge", "model-file"], {
      stdio: ["pipe", "inherit", "inherit"],
    });
    child.stdin.on("error", () => {});
    child.stdin.end(JSON.stringify({ ...document, source: asked, credential: key }));
    const [code] = await once(child, "close");
    return typeof code === "number" ? code : 1;
  } finally {
    for (const share of shares) share[Symbol.dispose]();
  }
}

process.exitCode = await main(process.argv.slice(2));
