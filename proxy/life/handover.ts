/**
 * Replacing a process without losing a request (facts: SO_REUSEPORT lets both listen for a moment). The newcomer asks its predecessor over the
 * admin socket to stop listening; the answer is a stream that lives as long as both do. It tells what the predecessor still works on, and it is a
 * lease: when it breaks because the newcomer died, the predecessor listens again.
 */
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Logger } from "pino";
import type { Admission } from "../admission/admission.ts";
import { answerFault } from "../errors/answer.ts";
import { Fault } from "../errors/fault.ts";
import { neighbours } from "./admin-socket.ts";
import type { FrontDoor } from "./front-door.ts";

/** One line of the stream: what the predecessor holds, and what it still works on or has queued, per model. */
interface State {
  readonly held: Readonly<Record<string, number>>;
  readonly working: Readonly<Record<string, number>>;
}

type Place = Pick<AddressInfo, "address" | "port">;
type Shared = Pick<Admission, "snapshot" | "held" | "hold" | "claims" | "onChange">;

const answerMilliseconds = 3_000;

/** The predecessor's side. */
export class Succession {
  readonly #door: FrontDoor;
  readonly #admission: Shared;
  readonly #log: Logger;
  readonly #leases = new Set<ServerResponse>();
  /** Where clients are served; known once the listener is open. */
  place: Place | undefined;

  constructor(door: FrontDoor, admission: Shared, log: Logger) {
    this.#door = door;
    this.#admission = admission;
    this.#log = log;
  }

  /** Answers `POST /-/handover?address=…&port=…`. Two newcomers at once are two leases; the port is given up once. */
  handOver(request: IncomingMessage, response: ServerResponse): void {
    const wanted = new URL(request.url ?? "/", "http://socket").searchParams;
    const { place } = this;
    if (place === undefined || wanted.get("address") !== place.address || wanted.get("port") !== String(place.port)) {
      const here = place === undefined ? "nowhere" : `${place.address}:${place.port}`;
      const fault = new Fault(409, "other_address", `This process serves ${here}; there is nothing to hand over.`);
      answerFault(request, response, fault, "chat");
      return;
    }
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    const tell = () => void response.write(`${JSON.stringify(this.#state())}\n`);
    tell();
    const stop = this.#admission.onChange(tell);
    this.#leases.add(response);
    this.#door.stopListening();
    this.#log.info({ leases: this.#leases.size }, "a successor serves: nothing new is accepted here");
    response.once("close", () => {
      stop();
      this.#leases.delete(response);
      if (this.#leases.size === 0) void this.#takeBack();
    });
  }

  async #takeBack(): Promise<void> {
    if (this.#door.draining) return;
    try {
      await this.#door.listenAgain();
      this.#log.warn("the successor is gone: this process listens again");
    } catch (error) {
      this.#log.error({ reason: (error as Error).message }, "the successor is gone, and listening again failed");
    }
  }

  #state(): State {
    const working = Object.fromEntries(
      this.#admission.snapshot().map(({ model, running, queued }) => [model, running + queued] as const),
    );
    return { held: Object.fromEntries(this.#admission.held), working };
  }
}

export interface Newcomer {
  /** Own admin socket. */
  readonly socket: string;
  readonly place: Place;
  readonly admission: Shared;
  readonly log: Logger;
}

/**
 * The newcomer's side, once it serves: takes over from every other process of the folder. Resolves with a function that gives the leases back;
 * a neighbour that does not answer in time, or does not know the call, is told in the log and does no harm.
 */
export async function takeOver(newcomer: Newcomer): Promise<() => void> {
  const others = await neighbours(newcomer.socket);
  const leases = await Promise.all(others.map((socketPath) => takeOverFrom(socketPath, newcomer)));
  return () => {
    for (const end of leases) end();
  };
}

function takeOverFrom(socketPath: string, { place, admission, log }: Newcomer): Promise<() => void> {
  const source = path.basename(socketPath);
  const query = new URLSearchParams({ address: place.address, port: String(place.port) });
  return new Promise((resolve) => {
    const request = http.request({ socketPath, method: "POST", path: `/-/handover?${query}`, agent: false });
    const end = () => {
      request.destroy();
    };
    const timer = setTimeout(() => {
      log.warn({ source }, "a neighbour does not hand over in time; it goes on by itself");
      request.destroy();
    }, answerMilliseconds);
    const settle = () => {
      clearTimeout(timer);
      resolve(end);
    };
    request.once("error", settle).once("close", settle);
    request.once("response", (answer) => {
      if (answer.statusCode !== 200) {
        // Another address (409), or a version that does not know the call.
        log.info({ source, status: answer.statusCode }, "a neighbour hands nothing over");
        answer.resume();
        return;
      }
      const lines = createInterface({ input: answer });
      // The end of the predecessor is the end of its stream: nothing to tell.
      lines.on("error", () => {});
      lines.on("line", (line) => {
        take(line, source, admission);
        settle();
      });
      answer.once("close", () => admission.claims(source, {}));
    });
    request.end();
  });
}

function take(line: string, source: string, admission: Shared): void {
  let state: State;
  try {
    state = JSON.parse(line) as State;
  } catch {
    return;
  }
  for (const [model, until] of Object.entries(state.held)) {
    const known = admission.held.get(model) ?? 0;
    if (until > known && until > Date.now()) admission.hold(model, (until - Date.now()) / 1_000);
  }
  admission.claims(source, state.working);
}
