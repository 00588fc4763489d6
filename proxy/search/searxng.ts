/** Asks the one SearXNG that the configuration names, and nobody else: no redirect is followed, and no page that was found is fetched. */
import { type Dispatcher, request } from "undici";

/** Labels of a metric. */
export const searchOutcomes = [
  "found",
  "empty",
  "refused",
  "unreachable",
  "timeout",
  "unreadable",
  "limit",
  "abandoned",
] as const;
export type SearchOutcome = (typeof searchOutcomes)[number];

/** `message` is for the model and for the log: it never holds the query. */
export class SearchFailure extends Error {
  override readonly name = "SearchFailure";
  readonly outcome: SearchOutcome;

  constructor(outcome: SearchOutcome, message: string, cause?: unknown) {
    super(message, { cause });
    this.outcome = outcome;
  }
}

/** Of SearXNG's answer: a page of results takes some 30 KB. */
const mostBytes = 2_097_152;

/** Longest query that search engines take. */
const longestQuery = 400;

export interface SearxngCall {
  readonly dispatcher: Dispatcher;
  readonly url: string;
  readonly seconds: number;
  /** The client went away. */
  readonly signal: AbortSignal;
}

/** The parsed document. Throws `SearchFailure` and nothing else. */
export async function askSearxng(query: string, { dispatcher, url, seconds, signal }: SearxngCall): Promise<unknown> {
  const limit = AbortSignal.timeout(seconds * 1_000);
  try {
    const { statusCode, headers, body } = await request(addressOf(url, query), {
      dispatcher,
      method: "GET",
      // Its limiter turns away who does not look like a browser's language settings.
      headers: { accept: "application/json", "accept-language": "en", "user-agent": "lmstack" },
      signal: AbortSignal.any([signal, limit]),
    });
    // An error listener: what breaks off after this is nobody's concern.
    body.on("error", () => {});
    if (statusCode !== 200) {
      body.destroy();
      throw refusal(statusCode);
    }
    const type = String(headers["content-type"] ?? "");
    if (!type.includes("json")) {
      body.destroy();
      throw unreadable("it answers with something other than JSON");
    }
    return parsed(await bounded(body));
  } catch (error) {
    if (signal.aborted) throw new SearchFailure("abandoned", "The client went away.");
    if (error instanceof SearchFailure) throw error;
    if (limit.aborted) throw new SearchFailure("timeout", `The search engine did not answer within ${seconds} s.`);
    throw new SearchFailure("unreachable", "The search engine cannot be reached.", error);
  }
}

function addressOf(base: string, query: string): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/$/, "")}/search`;
  url.search = "";
  url.searchParams.set("q", query.slice(0, longestQuery).toWellFormed());
  url.searchParams.set("format", "json");
  return url;
}

async function bounded(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    // Leaving the loop destroys the body.
    if (size > mostBytes) throw unreadable(`its answer is longer than ${mostBytes} bytes`);
  }
  return Buffer.concat(chunks, size);
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    throw unreadable("its answer is no valid JSON");
  }
}

const unreadable = (what: string) => new SearchFailure("unreadable", `The search failed: ${what}.`);

/** 403 is how SearXNG refuses a format that `search.formats` of its settings does not list; a query with `!!` makes it redirect elsewhere. */
function refusal(status: number): SearchFailure {
  if (status >= 300 && status < 400)
    return new SearchFailure("refused", "The search engine sent the search to another address, which is not followed.");
  const reason =
    status === 403 ? " (JSON answers are not enabled there)" : status === 429 ? " (too many searches)" : "";
  return new SearchFailure("refused", `The search engine refused the search with status ${status}${reason}.`);
}
