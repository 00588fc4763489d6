/** What the proxy answers itself: probes for machines, metrics, the status page, and the calls of whoever runs this host. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Caller } from "./access/caller.ts";
import { answerJson } from "./errors/answer.ts";
import { Fault } from "./errors/fault.ts";
import type { Outcome } from "./relay/work.ts";
import type { Readiness } from "./upstream/readiness.ts";

export interface Visitor {
  /** By the admin socket. */
  readonly admin: boolean;
  /** Asks for a key. Throws the fault that answers a stranger. */
  readonly admit: () => Promise<Caller>;
}

export interface OwnPath {
  /** For metrics. */
  readonly label: string;
  /** A browser may present its key as the password of basic authentication. */
  readonly basic: boolean;
  readonly answer: (request: IncomingMessage, response: ServerResponse, visitor: Visitor) => Promise<Outcome>;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export interface OwnAnswers {
  readonly readiness: () => Promise<Readiness>;
  readonly health: () => Record<string, unknown>;
  readonly metrics: Answer;
  readonly page: Answer;
  readonly live: Answer;
  /** Everything else below `/-/`. */
  readonly admin: (request: IncomingMessage, response: ServerResponse, visitor: Visitor) => void | Promise<void>;
}

const complete: Outcome = { kind: "complete", stream: false, retried: false };

export class OwnPaths {
  readonly #paths: ReadonlyMap<string, OwnPath>;
  readonly #admin: OwnPath;

  constructor(answers: OwnAnswers) {
    const health: OwnPath = {
      label: "/healthz",
      basic: false,
      answer: async (request, response) => {
        answerJson(request, response, 200, JSON.stringify(answers.health()));
        return complete;
      },
    };
    const ready: OwnPath = {
      label: "/readyz",
      basic: false,
      answer: async (request, response) => {
        const state = await answers.readiness();
        answerJson(request, response, state.ready ? 200 : 503, JSON.stringify(state));
        return complete;
      },
    };
    this.#paths = new Map([
      ["/healthz", health],
      ["/readyz", ready],
      ["/metrics", toLookers("/metrics", answers.metrics)],
      ["/", toLookers("/", answers.page)],
      ["/-/live", toLookers("/-/live", answers.live)],
    ]);
    this.#admin = {
      label: "/-/",
      basic: false,
      answer: async (request, response, visitor) => {
        if (!visitor.admin && !(await visitor.admit()).admin) throw adminFault();
        await answers.admin(request, response, visitor);
        return complete;
      },
    };
  }

  find(path: string): OwnPath | undefined {
    return this.#paths.get(path) ?? (path.startsWith("/-/") ? this.#admin : undefined);
  }
}

/** For whoever has a key, and for programs and people on this very machine. */
function toLookers(label: string, answer: Answer): OwnPath {
  return {
    label,
    basic: true,
    answer: async (request, response, visitor) => {
      if (request.method !== "GET" && request.method !== "HEAD") {
        throw new Fault(405, "method_not_allowed", `${label} is only for reading. Use GET.`, {
          headers: ["allow", "GET, HEAD"],
        });
      }
      if (!visitor.admin && !isLocal(request)) {
        // A browser asks its user for the key only then; for everybody else the fault's own field takes its place.
        if (label !== "/metrics") response.setHeader("www-authenticate", 'Basic realm="lmstack", charset="UTF-8"');
        await visitor.admit();
        response.removeHeader("www-authenticate");
      }
      await answer(request, response);
      return complete;
    },
  };
}

const loopback = /^(?:127\.|::1$|::ffff:127\.)/;
const localName = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

/**
 * From loopback, by a loopback name, and not passed on by another proxy: behind one on this machine every stranger comes from loopback, and a
 * web page could point a name of its own there.
 */
export function isLocal({ socket, headers }: IncomingMessage): boolean {
  const forwarded = headers.forwarded ?? headers["x-forwarded-for"] ?? headers["x-real-ip"] ?? headers.via;
  return loopback.test(socket.remoteAddress ?? "") && forwarded === undefined && localName.test(headers.host ?? "");
}

function adminFault(): Fault {
  return new Fault(
    403,
    "admin_only",
    "Paths below /-/ are for the admin socket of this host and for keys with admin: true. Use one of these.",
  );
}
