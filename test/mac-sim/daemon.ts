/** What runs on a test host that passes for a Mac: its launchd, and the commands that tell about it. `daemon.mjs SOCKET` */
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { launchDaemonsFolder } from "../../infra/spec/host-layout.ts";
import { Launchd } from "./launchd.ts";
import { toolServer } from "./tool-server.ts";
import { answerOf, wellKept } from "./tools.ts";

const [socket = ""] = process.argv.slice(2);
const launchd = new Launchd({ loggedIn: [] });
rmSync(socket, { force: true });
mkdirSync(launchDaemonsFolder, { recursive: true });
const server = toolServer(([name = "", ...words]) =>
  name === "launchctl" ? launchd.answer(words) : answerOf(name, words, wellKept),
);
server.listen(socket);
await once(server, "listening");
chmodSync(socket, 0o666);
const files = readdirSync(launchDaemonsFolder).filter((name) => name.endsWith(".plist"));
await launchd.reboot({ system: files.map((name) => join(launchDaemonsFolder, name)) });
process.once("SIGTERM", async () => {
  server.close();
  await launchd[Symbol.asyncDispose]();
});
