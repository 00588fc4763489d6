import type { IncomingMessage } from "node:http";
import type { JsonBody } from "../splice/body.ts";
import type { RequestRecord } from "./record.ts";

/** Who looks on. */
export interface Observer {
  finished(record: RequestRecord, request: IncomingMessage, body: JsonBody | undefined): void;
  gap(model: string | undefined, ms: number): void;
  heartbeat(): void;
  /** An event stream begins, and ends. */
  stream(open: boolean): void;
}
