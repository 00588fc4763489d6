/** As much of GitHub's REST API as jobs of CI speak to, on loopback, with what it was told kept for tests to read. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { z } from "zod";

const sent = z.looseObject({
  body: z.string().optional(),
  title: z.string().optional(),
  state: z.string().optional(),
  labels: z.array(z.string()).optional(),
  head: z.string().optional(),
  base: z.string().optional(),
});
type Item = z.output<typeof sent> & { readonly id: number; readonly number: number; readonly html_url: string };

export class StandInGitHub implements AsyncDisposable {
  readonly token = "ghs_of-the-test";
  readonly repository = "team/fleet";
  /** By the number of their pull request. */
  readonly comments = new Map<number, Item[]>();
  readonly issues: Item[] = [];
  readonly pulls: Item[] = [];
  /** `METHOD path` of everything that was asked. */
  readonly calls: string[] = [];
  readonly #server: Server;
  #made = 0;

  private constructor() {
    this.#server = createServer(async (request, response) => {
      const [status, body] =
        request.headers.authorization === `Bearer ${this.token}`
          ? await this.#answer(request)
          : [401, { message: "Bad credentials" }];
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  }

  static async start(): Promise<StandInGitHub> {
    const github = new StandInGitHub();
    await once(github.#server.listen(0, "127.0.0.1"), "listening");
    return github;
  }

  /** As a job of Actions gets it. */
  get env(): Record<string, string> {
    const { port } = this.#server.address() as AddressInfo;
    return {
      GITHUB_API_URL: `http://127.0.0.1:${port}`,
      GITHUB_REPOSITORY: this.repository,
      GITHUB_TOKEN: this.token,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  async #answer(request: IncomingMessage): Promise<[number, unknown]> {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://github");
    const path = pathname.replace(`/repos/${this.repository}/`, "");
    this.calls.push(`${request.method} ${path}`);
    const list = this.#listOf(path);
    if (list === undefined) return [404, { message: "Not Found" }];
    if (request.method === "GET") return [200, page(list.filter(matches(searchParams)), searchParams)];
    const told = sent.parse(await json(request));
    if (request.method === "POST") {
      this.#made += 1;
      const item = {
        state: "open",
        ...told,
        id: 1_000 + this.#made,
        number: this.#made,
        html_url: `http://github/${path}/${this.#made}`,
      };
      list.push(item);
      return [201, item];
    }
    const last = Number(path.split("/").at(-1));
    const index = list.findIndex(({ id, number }) => id === last || number === last);
    if (index < 0) return [404, { message: "Not Found" }];
    list[index] = { ...(list[index] as Item), ...told };
    return [200, list[index]];
  }

  #listOf(path: string): Item[] | undefined {
    const pull = /^issues\/(\d+)\/comments$/.exec(path)?.[1];
    if (pull !== undefined) {
      const own = this.comments.get(Number(pull)) ?? [];
      this.comments.set(Number(pull), own);
      return own;
    }
    const comment = /^issues\/comments\/(\d+)$/.exec(path)?.[1];
    if (comment !== undefined)
      return [...this.comments.values()].find((all) => all.some(({ id }) => id === Number(comment)));
    if (/^issues(\/\d+)?$/.test(path)) return this.issues;
    return path === "pulls" ? this.pulls : undefined;
  }
}

const matches =
  (query: URLSearchParams) =>
  (item: Item): boolean =>
    (query.get("state") ?? item.state) === item.state &&
    (query.get("labels") === null || item.labels?.includes(query.get("labels") as string) === true) &&
    (query.get("head")?.split(":")[1] ?? item.head) === item.head;

function page(items: readonly Item[], query: URLSearchParams): Item[] {
  const size = Number(query.get("per_page") ?? 30);
  const begin = (Number(query.get("page") ?? 1) - 1) * size;
  return items.slice(begin, begin + size);
}
