/** No proxy at all: what the load generator and the stand-in can do by themselves. */
import type { Peer } from "./peer.ts";

export const direct: Peer = {
  name: "direct",
  slow: false,
  prepare: async () => process.version,
  start: async ({ backendPort }) => ({ port: backendPort, process: undefined }),
};
