/**
 * A search server that speaks SearXNG's HTTP API (https://docs.searxng.org/dev/search_api.html) over a handful of pages: `/search` with `q` and
 * `format`, 403 for a format that its settings do not list, a redirect for `!!`, and the ways in which such a server fails.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";

export interface Page {
  readonly url: string;
  readonly title: string;
  readonly content: string;
  readonly publishedDate?: string | null;
}

export interface SearxngOptions {
  readonly pages?: readonly Page[];
  /** `search.formats` of its settings. */
  readonly formats?: readonly string[];
  /** Takes the place of every answer; one that does nothing hangs. */
  readonly answer?: (response: http.ServerResponse, query: string) => void;
}

export interface Searxng extends AsyncDisposable {
  /** For `search.searxng`. */
  readonly url: string;
  /** What was searched for, in order. */
  readonly queries: readonly string[];
  /** Path and query of every request. */
  readonly requests: readonly string[];
  /** Questions whose client went away before it had its answer. */
  readonly abandoned: () => number;
  /** Set while it runs. */
  answer: SearxngOptions["answer"];
}

const somePages: readonly Page[] = [
  {
    url: "https://searx.example/lmstack",
    title: "What lmstack is",
    content: "One program that turns a GPU box into an endpoint for Codex. Its secret word is heliotrope.",
    publishedDate: "2026-11-20T00:00:00",
  },
  {
    url: "https://other.example/lmstack-notes",
    title: "Notes",
    content: "Somebody's notes on lmstack.",
  },
];

export async function startSearxng({
  pages = somePages,
  formats = ["html", "json"],
  answer,
}: SearxngOptions = {}): Promise<Searxng> {
  const queries: string[] = [];
  const requests: string[] = [];
  let abandoned = 0;
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://searxng");
    requests.push(url.pathname + url.search);
    response.on("close", () => {
      if (!response.writableFinished) abandoned += 1;
    });
    const query = url.searchParams.get("q") ?? "";
    const format = url.searchParams.get("format") ?? "html";
    if (url.pathname !== "/search") {
      response.writeHead(404).end();
      return;
    }
    if (!formats.includes(format)) {
      response.writeHead(403, { "content-type": "text/html" }).end("<h1>Forbidden</h1>");
      return;
    }
    queries.push(query);
    if (searxng.answer !== undefined) searxng.answer(response, query);
    else if (query.includes("!!")) response.writeHead(302, { location: "https://elsewhere.example/" }).end();
    else if (query.trim() === "") response.writeHead(400).end();
    else
      response.writeHead(200, { "content-type": "application/json" }).end(
        JSON.stringify(
          document(
            query,
            pages.filter((page) => matches(page, query)),
          ),
        ),
      );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const searxng: Searxng = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    queries,
    requests,
    abandoned: () => abandoned,
    answer,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
  return searxng;
}

function document(query: string, pages: readonly Page[]) {
  return {
    query,
    number_of_results: 0,
    results: pages.map((page, index) => ({
      publishedDate: null,
      ...page,
      template: "default.html",
      engine: "pages",
      engines: ["pages"],
      parsed_url: [],
      positions: [index + 1],
      score: 1 / (index + 1),
      category: "general",
    })),
    answers: [],
    corrections: [],
    infoboxes: [],
    suggestions: [],
    unresponsive_engines: [],
  };
}

/** Any word of the query. */
function matches({ title, content }: Page, query: string): boolean {
  const text = `${title} ${content}`.toLowerCase();
  return query
    .toLowerCase()
    .split(/\W+/)
    .some((word) => word !== "" && text.includes(word));
}
