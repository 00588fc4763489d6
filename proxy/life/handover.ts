/**
 * Replacing a process without losing a request (facts: SO_REUSEPORT lets both listen for a moment). The newcomer asks its predecessor over the
 * admin socket to stop listening; the answer is a stream that lives as long as both do. It tells what the predecessor still works on, and it is a
 * lease: when it ends because the newcomer leaves or died, the predecessor listens again.
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

/** One line of the stream: what the predecessor holds (until when), and how many requests it works on or has queued, per model. */
interface State {
  readonly held: Readonly<Record<string, number>>;
  readonly working: Readonly<Record<string, number>>;
}

type Place = Pick<AddressInfo, "address" | "port">;
type Shared = Pick<Admission, "snapshot" | "held" | "hold" | "claims" | "onChange">;

/** When each address came to be served by a process of ours. Both sides of one process tell the same time. */
const servedSince = new WeakMap<Place, bigint>();

/** In nanoseconds of the clock that all processes of a machine share, which nobody sets: it counts from the machine's boot. */
function since(place: Place): bigint {
  const known = servedSince.get(place) ?? process.hrtime.bigint();
  servedSince.set(place, known);
  return known;
}

const answerMilliseconds = 3_000;

/** The predecessor's side. */
export class Succession {
  readonly #door: FrontDoor;
  readonly #admission: Shared;
  readonly #log: Logger;
  /** Each open answer, by when its newcomer began to serve. */
  readonly #leases = new Map<ServerResponse, string>();
  #place: Place | undefined;

  constructor(door: FrontDoor, admission: Shared, log: Logger) {
    this.#door = door;
    this.#admission = admission;
    this.#log = log;
  }

  /** Where clients are served; given as soon as the listener is open. */
  set place(place: Place) {
    since(place);
    this.#place = place;
  }

  /**
   * Answers `POST /-/handover?address=…&port=…&since=…`. Two newcomers at once are two leases; the port is given up once. With `&back` the
   * newcomer leaves in good order: the answer comes when this process listens again, so that there is always somebody who does.
   */
  async handOver(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = new URL(request.url ?? "/", "http://socket").searchParams;
    const fault = refusal(asked, this.#place);
    if (fault !== undefined) {
      answerFault(request, response, fault, "chat");
      return;
    }
    const newcomer = asked.get("since") ?? "";
    if (asked.has("back")) {
      const leases = [...this.#leases].filter(([, holder]) => holder === newcomer);
      await Promise.all(leases.map(([lease]) => this.#end(lease)));
      response.writeHead(204).end();
      return;
    }
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    const tell = () => void response.write(`${JSON.stringify(this.#state())}\n`);
    tell();
    const stop = this.#admission.onChange(tell);
    this.#leases.set(response, newcomer);
    this.#door.stopListening();
    this.#log.info({ leases: this.#leases.size }, "a successor serves: nothing new is accepted here");
    response.once("close", () => {
      stop();
      void this.#end(response);
    });
  }

  async #end(lease: ServerResponse): Promise<void> {
    if (this.#leases.delete(lease) && this.#leases.size === 0) await this.#takeBack();
  }

  async #takeBack(): Promise<void> {
    if (this.#door.draining) return;
    try {
      const listening = await this.#door.listenAgain();
      // Somebody else came while the listener was being opened.
      if (this.#leases.size > 0) this.#door.stopListening();
      else if (listening) this.#log.warn("the successor is gone: this process listens again");
      else this.#log.warn("the successor is gone; who holds the socket starts another");
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

/**
 * Why nothing is handed over: who asks serves elsewhere, or has served for longer. Of two that start at once each finds the other, and
 * only the younger may have the port, or neither would listen.
 */
function refusal(asked: URLSearchParams, place: Place | undefined): Fault | undefined {
  if (place === undefined || asked.get("address") !== place.address || asked.get("port") !== String(place.port)) {
    const here = place === undefined ? "nowhere yet" : `${place.address}:${place.port}`;
    return new Fault(409, "other_address", `This process serves ${here}; there is nothing to hand over.`);
  }
  const began = asked.get("since") ?? "";
  if (/^\d{1,30}$/.test(began) && BigInt(began) > since(place)) return undefined;
  return new Fault(
    409,
    "older_process",
    "Only a process that began to serve later may take over. Send as since when it began, in nanoseconds of this machine's monotonic clock.",
  );
}

export interface Newcomer {
  /** Own admin socket. */
  readonly socket: string;
  /** The very object that `Succession` has. */
  readonly place: Place;
  readonly admission: Shared;
  readonly log: Logger;
}

/** Resolves when the predecessor listens again, needs not to, is gone, or does not answer in time. */
type GiveBack = () => Promise<void>;

/**
 * The newcomer's side, once it serves: takes over from every other process of the folder. Resolves with a function that gives the leases back;
 * a neighbour that does not answer in time, or does not know the call, is told in the log and does no harm.
 */
export async function takeOver(newcomer: Newcomer): Promise<GiveBack> {
  const others = await neighbours(newcomer.socket);
  const leases = await Promise.all(others.map((socketPath) => takeOverFrom(socketPath, newcomer)));
  return async () => {
    await Promise.all(leases.map((giveBack) => giveBack()));
  };
}

function takeOverFrom(socketPath: string, { place, admission, log }: Newcomer): Promise<GiveBack> {
  const source = path.basename(socketPath);
  const query = new URLSearchParams({ address: place.address, port: String(place.port), since: String(since(place)) });
  return new Promise((resolve) => {
    const request = http.request({ socketPath, method: "POST", path: `/-/handover?${query}`, agent: false });
    const giveBack = async () => {
      if (!request.destroyed) await askFor(socketPath, `/-/handover?${query}&back`);
      request.destroy();
    };
    const timer = setTimeout(() => {
      log.warn({ source }, "a neighbour does not hand over in time; it goes on by itself");
      request.destroy();
    }, answerMilliseconds);
    const settle = () => {
      clearTimeout(timer);
      resolve(giveBack);
    };
    request.on("error", settle).once("close", settle);
    request.once("response", (answer) => {
      if (answer.statusCode !== 200) {
        // Another address or a younger process (409), or a version that does not know the call.
        log.info({ source, status: answer.statusCode }, "a neighbour hands nothing over");
        answer.resume();
        return;
      }
      const take = taker(source, admission);
      const lines = createInterface({ input: answer });
      // The end of the predecessor is the end of its stream: nothing to tell.
      lines.on("error", () => {});
      lines.on("line", (line) => {
        if (take(line)) settle();
      });
      answer.once("close", () => admission.claims(source, {}));
    });
    request.end();
  });
}

function askFor(socketPath: string, call: string): Promise<void> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(answerMilliseconds);
    const request = http.request({ socketPath, method: "POST", path: call, agent: false, signal });
    request.once("response", (answer) => answer.resume());
    request.on("error", () => {}).once("close", resolve);
    request.end();
  });
}

/** Holds are taken when they are told for the first time: one that ended here meanwhile must not come back with the next line. */
function taker(source: string, admission: Shared): (line: string) => boolean {
  let told: State["held"] = {};
  return (line) => {
    const state = parseState(line);
    if (state === undefined) return false;
    for (const [model, until] of Object.entries(state.held)) {
      const left = (until - Date.now()) / 1_000;
      if (left > 0 && until > (told[model] ?? 0) && until > (admission.held.get(model) ?? 0))
        admission.hold(model, left);
    }
    told = state.held;
    admission.claims(source, state.working);
    return true;
  };
}

function parseState(line: string): State | undefined {
  try {
    return JSON.parse(line) as State;
  } catch {
    return undefined;
  }
}
