/** LM Studio's stand-in for load: a process of its own that answers as its parent last told it. Started by `stand-in.ts` as `main.ts KIND`. */
import type { AddressInfo } from "node:net";
import { atOnce, type FromBackend, type ToBackend } from "./control.ts";
import { lightServer } from "./light.ts";
import { ordinaryServer } from "./ordinary.ts";
import type { Serving } from "./serving.ts";

const tell = (message: FromBackend) => process.send?.(message);
const serving: Serving = { mode: atOnce, waiting: new Map(), tell };
const server = (process.argv[2] === "light" ? lightServer : ordinaryServer)(serving);

process.on("message", (message: ToBackend) => {
  if ("finish" in message) {
    serving.waiting.get(message.finish)?.();
    serving.waiting.delete(message.finish);
    return;
  }
  serving.mode = message.mode;
  tell({ taken: true });
});
process.on("disconnect", () => process.exit(0));
server.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 }, () =>
  tell({ port: (server.address() as AddressInfo).port }),
);
