/** What a gateway is made of, and what it remembers. */
import type { IncomingMessage } from "node:http";
import type { Logger } from "pino";
import type { Dispatcher } from "undici";
import type { ProxyConfig } from "../infra/spec/proxy-config.ts";
import type { Gatekeeper } from "./access/gatekeeper.ts";
import type { Admission } from "./admission/admission.ts";
import type { RequestMemo } from "./codex/request/translate.ts";
import type { ResponseNames } from "./codex/response-names.ts";
import type { OwnPaths } from "./own-paths.ts";
import type { Searcher } from "./search/searcher.ts";
import type { Observer } from "./seeing/observer.ts";
import type { StrategyMemory } from "./thinking/memory.ts";
import type { Catalog } from "./upstream/catalog.ts";
import type { Instances } from "./upstream/instances.ts";

export interface GatewayParts {
  readonly settings: { readonly current: ProxyConfig };
  readonly upstream: Dispatcher;
  /** `http://host:port` of LM Studio. */
  readonly origin: string;
  readonly log: Logger;
  readonly gatekeeper: Gatekeeper;
  readonly admission: Admission;
  readonly catalog: Catalog;
  readonly instances: Instances;
  readonly searcher: Searcher;
  readonly observer: Observer;
  readonly ownPaths: OwnPaths;
  readonly strategies: StrategyMemory;
  /** Nothing new is accepted here: clients are asked to open their next connection elsewhere. */
  readonly isLeaving: () => boolean;
  /** Whether a request came in by the admin socket, whose file permissions stand for a key. */
  readonly isAdmin: (request: IncomingMessage) => boolean;
}

/** What earlier requests leave to later ones. */
export interface GatewayMemory {
  readonly requests: RequestMemo;
  readonly names: ResponseNames;
}
