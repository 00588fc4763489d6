/** A host without Docker: the proxy as a service of the host (`proxy.runtime: native`), from nothing to nothing. */
import http from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { changedSteps, type Outcome, type Stack } from "../pulumi/stack.ts";
import { type Box, openStack, type Spec, specFor, startBox, teamKey, thinker } from "./box.ts";
import { askChat, askResponses, readiness } from "./endpoint.ts";
import { difference, fingerprint } from "./host-fingerprint.ts";

let box: Box;
let stack: Stack;
let found: readonly string[];

const say = (line: string) => console.log(`   ${line}`);
const run = async (command: string, root = false) => (await box.host.exec(command, { root })).stdout.trim();
const changes = (outcome: Outcome) => changedSteps(outcome).map(({ op, name }) => `${op} ${name}`);
const baseUrl = () => `http://${box.host.address}:8080/v1`;
const ask = () => askChat({ baseUrl: baseUrl(), model: thinker, prompt: "hi", key: teamKey });
const native = (change: (spec: Spec) => void = () => {}) =>
  specFor(box, (spec) => {
    spec.proxy.runtime = "native";
    change(spec);
  });
/** Pids: the service's parent process holds the socket, its child serves. */
const parent = () => run("systemctl show -p MainPID --value lmstack-proxy");
const serving = async () => await run(`pgrep -P ${await parent()}`);

beforeAll(async () => {
  box = await startBox({ name: "native", docker: false, realModel: false, onProgress: say });
  found = await fingerprint(box.host);
  stack = await openStack("e2e-native", box, native());
});

afterAll(async () => {
  await stack?.forget();
  await box?.host.remove();
});

describe("the native proxy", () => {
  test("serves after one up of a host without Docker, as the owner's service, and a second up changes nothing", async () => {
    expect(await run("command -v docker || echo none")).toBe("none");
    const up = await stack.up(say);
    expect(up.exitCode, up.output).toBe(0);
    say(`first up: ${up.seconds.toFixed(1)} s`);
    const answer = await ask();
    expect(answer.status, answer.text).toBe(200);
    expect(answer.reasoningTokens).toBe(0);
    expect(await run("systemctl show -p User --value lmstack-proxy; systemctl is-enabled lmstack-proxy")).toBe(
      "gpu\nenabled",
    );
    expect(changes(await stack.up())).toEqual([]);
  });

  test("is replaced by an up under load: nobody is refused, no answer is cut, and the socket stays", async () => {
    const [holds, serves] = [await parent(), await serving()];
    const tokens = 200;
    let heard = "";
    const stream = askResponses({
      baseUrl: baseUrl(),
      model: thinker,
      prompt: `sim:tokens=${tokens} sim:pace=50`,
      key: teamKey,
      maxTokens: tokens,
      onText: (text) => {
        heard += text;
      },
    });
    await expect.poll(() => heard).toContain("word2");
    const load = new Knocking(box.host.address);
    await stack.configure(
      native((spec) => {
        spec.proxy.noThink = "effort";
      }),
      { "team-a": teamKey },
    );
    const redeploy = await stack.up();
    const { answered, failed } = await load.end();
    expect(redeploy.exitCode, redeploy.output).toBe(0);
    const { text } = await stream;
    expect(text.split(" ")).toEqual(Array.from({ length: tokens }, (_, index) => `word${index + 1}`));
    expect(failed).toEqual([]);
    say(`${answered} connections during the redeploy`);
    expect(answered).toBeGreaterThan(100);
    expect(await parent()).toBe(holds);
    await expect.poll(async () => (await serving()).split("\n"), { timeout: 10_000 }).not.toContain(serves);
  });

  test("drifted, with its unit edited, disabled and stopped: up says so and repairs it, and a preview finds nothing more", async () => {
    await run("echo '# tuned' >> /etc/systemd/system/lmstack-proxy.service", true);
    await run("systemctl disable --quiet --now lmstack-proxy", true);
    const repair = await stack.up();
    expect(repair.exitCode, repair.output).toBe(0);
    expect(changes(repair)).toEqual(["update proxy-files"]);
    expect(repair.output).toMatch(
      /proxy's service file was edited or removed; the proxy's service does not start at boot/,
    );
    expect((await ask()).status).toBe(200);
    expect(changes(await stack.preview())).toEqual([]);
  });

  test("comes back by itself when every process of it was killed", async () => {
    const before = await parent();
    await run("systemctl kill --signal=KILL lmstack-proxy", true);
    await expect.poll(() => parent(), { timeout: 20_000 }).not.toBe(before);
    await expect.poll(() => readiness(box.host.address), { timeout: 20_000 }).toBe(200);
  });

  test("leaves with destroy, and the host is as it was found", async () => {
    const outcome = await stack.destroy();
    expect(outcome.exitCode, outcome.output).toBe(0);
    expect(difference(found, await fingerprint(box.host))).toEqual([]);
  });
});

describe("a host on which nobody may become root", () => {
  /** As `lmstack host prepare` says: the one thing that root does there. */
  const userServices = async () =>
    (await run("XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user is-active lmstack-supervisor lmstack-proxy")).split(
      "\n",
    );

  test("serves by the user's own services after one up, and a second up changes nothing", async () => {
    await run("loginctl enable-linger gpu", true);
    await stack.configure(
      native((spec) => {
        spec.connection.become = "none";
      }),
      { "team-a": teamKey },
    );
    const up = await stack.up(say);
    expect(up.exitCode, up.output).toBe(0);
    const answer = await ask();
    expect(answer.status, answer.text).toBe(200);
    expect(answer.reasoningTokens).toBe(0);
    expect(await userServices()).toEqual(["active", "active"]);
    expect(await run("ls /etc/systemd/system | grep -E 'lmstack-(supervisor|proxy)' || echo none")).toBe("none");
    expect(changes(await stack.up())).toEqual([]);
  });

  test("serves again by itself after a reboot, with nobody logged in", async () => {
    await box.host.reboot();
    await expect.poll(() => readiness(box.host.address), { timeout: 60_000 }).toBe(200);
    const answer = await ask();
    expect(answer.status, answer.text).toBe(200);
    expect(answer.reasoningTokens).toBe(0);
    expect(await userServices()).toEqual(["active", "active"]);
  });

  test("is as it was found after destroy", async () => {
    const outcome = await stack.destroy();
    expect(outcome.exitCode, outcome.output).toBe(0);
    await run("loginctl disable-linger gpu", true);
    expect(difference(found, await fingerprint(box.host))).toEqual([]);
  });
});

/** A new connection for each request, one after the other, until `end`. */
class Knocking {
  readonly #address: string;
  readonly #done: Promise<void>;
  readonly #failed: string[] = [];
  #answered = 0;
  #going = true;

  constructor(address: string) {
    this.#address = address;
    this.#done = this.#knock();
  }

  async end(): Promise<{ readonly answered: number; readonly failed: readonly string[] }> {
    this.#going = false;
    await this.#done;
    return { answered: this.#answered, failed: this.#failed };
  }

  async #knock(): Promise<void> {
    while (this.#going) {
      const status = await this.#request().catch((error: NodeJS.ErrnoException) => error.code ?? error.message);
      if (status === 200) this.#answered++;
      else this.#failed.push(String(status));
    }
  }

  #request(): Promise<number> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${teamKey}` };
      const options = { host: this.#address, port: 8080, path: "/v1/models", agent: false, headers };
      const request = http.get(options, (answer) => {
        answer.once("error", reject).once("end", () => resolve(answer.statusCode ?? 0));
        answer.resume();
      });
      request.once("error", reject);
    });
  }
}
