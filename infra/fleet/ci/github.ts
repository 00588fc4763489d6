/** The few things that are said to GitHub's REST API, as a job of Actions knows where and as whom. */
import { request } from "undici";
import { z } from "zod";
import { CliFault } from "../../cli/fault.ts";

const talk = z.array(z.looseObject({ number: z.int().optional(), id: z.int(), body: z.string().nullish() }));
const made = z.looseObject({ html_url: z.string() });
const perPage = 100;

export class GitHub {
  readonly #api: string;
  readonly #repository: string;
  readonly #token: string;

  private constructor(api: string, repository: string, token: string) {
    this.#api = api;
    this.#repository = repository;
    this.#token = token;
  }

  /** @throws CliFault when this is no job of Actions that was given a token */
  static of(env: Readonly<NodeJS.ProcessEnv>): GitHub {
    const { GITHUB_API_URL: api = "https://api.github.com", GITHUB_REPOSITORY: repository, GITHUB_TOKEN: token } = env;
    if (repository && token) return new GitHub(api, repository, token);
    throw new CliFault(
      "GITHUB_REPOSITORY and GITHUB_TOKEN are not set: expected a job of GitHub Actions. Next: give the step github.token as GITHUB_TOKEN, or leave --post out",
    );
  }

  /** One comment of ours below a pull request, by its marker: written, or written anew. @returns its address; null when there is none and none is wanted */
  async comment(pull: number, marker: string, body: string, wanted: boolean): Promise<string | null> {
    const found = await this.#find(`issues/${pull}/comments`, marker);
    if (found) return await this.#send("PATCH", `issues/comments/${found.id}`, { body });
    return wanted ? await this.#send("POST", `issues/${pull}/comments`, { body }) : null;
  }

  /** One open issue of ours, by its marker: opened, written anew, or closed when it is no longer wanted. @returns its address; null when there is none */
  async issue(marker: string, title: string, body: string, wanted: boolean): Promise<string | null> {
    const label = "lmstack-drift";
    const found = await this.#find(`issues?state=open&labels=${label}`, marker);
    if (found) {
      const state = wanted ? {} : { state: "closed", state_reason: "completed" };
      return await this.#send("PATCH", `issues/${found.number}`, { title, body, ...state });
    }
    return wanted ? await this.#send("POST", "issues", { title, body, labels: [label] }) : null;
  }

  /** @returns its address; that of the one that is open already for this branch */
  async pull(branch: string, base: string, title: string, body: string): Promise<string> {
    const [owner] = this.#repository.split("/");
    const open = z.array(made).parse(await this.#call("GET", `pulls?state=open&head=${owner}:${branch}`));
    return open[0]?.html_url ?? (await this.#send("POST", "pulls", { head: branch, base, title, body }));
  }

  async #find(path: string, marker: string): Promise<z.output<typeof talk>[number] | undefined> {
    for (let page = 1; ; page += 1) {
      const join = path.includes("?") ? "&" : "?";
      const some = talk.parse(await this.#call("GET", `${path}${join}per_page=${perPage}&page=${page}`));
      const found = some.find(({ body }) => body?.startsWith(marker));
      if (found || some.length < perPage) return found;
    }
  }

  async #send(method: "POST" | "PATCH", path: string, body: object): Promise<string> {
    return made.parse(await this.#call(method, path, body)).html_url;
  }

  async #call(method: "GET" | "POST" | "PATCH", path: string, body?: object): Promise<unknown> {
    const answer = await request(`${this.#api}/repos/${this.#repository}/${path}`, {
      method,
      headers: {
        accept: "application/vnd.github+json",
        authorization: `Bearer ${this.#token}`,
        "user-agent": "lmstack",
        "x-github-api-version": "2022-11-28",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300)
      throw new CliFault(
        `GitHub answered ${method} ${path.replace(/\?.*/, "")} with ${answer.statusCode}: ${text.slice(0, 300)}. Next: give the job the permissions that the workflow names`,
      );
    return JSON.parse(text);
  }
}
