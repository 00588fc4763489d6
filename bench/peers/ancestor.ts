/** The small buffering Python proxy that lmstack grew from, by its behaviour. */
import { fileURLToPath } from "node:url";
import { runProgram } from "../../infra/setup/program.mjs";
import { startChild, whenReady } from "../children.ts";
import { accepting, freePort, type Peer } from "./peer.ts";

const script = fileURLToPath(new URL("ancestor.py", import.meta.url));

export const ancestor: Peer = {
  name: "ancestor",
  slow: true,
  async prepare() {
    const { output } = await runProgram("python3", ["--version"]);
    return output.trim();
  },
  async start({ backendPort, core }) {
    const port = await freePort();
    const child = startChild(["python3", script, String(port), String(backendPort)], { core });
    await whenReady(child, "the ancestor", accepting(port, 10));
    return { port, process: child };
  },
};
