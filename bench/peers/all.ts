import { ancestor } from "./ancestor.ts";
import { direct } from "./direct.ts";
import { haproxy } from "./haproxy.ts";
import { litellm } from "./litellm.ts";
import { lmstack } from "./lmstack.ts";
import { nginx } from "./nginx.ts";
import type { Peer } from "./peer.ts";

/** In the order of the table. */
export const allPeers: readonly Peer[] = [direct, nginx, haproxy, lmstack, ancestor, litellm];
