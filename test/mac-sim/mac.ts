/** A Mac as far as hostctl sees one: its commands on PATH, a launchd with real processes, and a home whose path has a space and an `&`. */
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type Host, hostAt } from "../../hostctl/host.ts";
import { Launchd } from "./launchd.ts";
import type { Reply } from "./reply.ts";
import { toolServer } from "./tool-server.ts";
import { answerOf, type MacState, tools, wellKept } from "./tools.ts";

const uid = 501;

export interface MacOptions {
  /** Somebody sits at the screen, or is logged in at boot. Default false. */
  readonly loggedIn?: boolean;
  /** Default true: sudo asks for no password. */
  readonly sudo?: boolean;
  readonly state?: Partial<MacState>;
}

export class Mac implements AsyncDisposable {
  readonly home: string;
  readonly host: Host;
  readonly launchd: Launchd;
  /** Put it in the environment of whoever is to believe in this Mac. */
  readonly path: string;
  readonly said: string[] = [];
  readonly #folder: string;
  readonly #state: MacState;
  readonly #server: Server;

  private constructor(folder: string, { loggedIn = false, state }: MacOptions) {
    this.#folder = folder;
    this.#state = { ...wellKept, ...state };
    this.launchd = new Launchd({ loggedIn: loggedIn ? [uid] : [], lingerMs: 300 });
    this.home = join(folder, "Users", "g & p");
    this.path = [join(folder, "bin"), process.env.PATH].join(delimiter);
    this.host = {
      ...hostAt(this.home, (line) => this.said.push(line)),
      platform: "darwin",
      ownHome: true,
      user: "g",
      uid,
      launchDaemons: join(folder, "Library", "LaunchDaemons"),
    };
    this.#server = toolServer((words) => this.#answer(words));
  }

  static async make(options: MacOptions = {}): Promise<Mac> {
    const mac = new Mac(await mkdtemp(join(tmpdir(), "mac-")), options);
    const folder = mac.#folder;
    for (const path of [mac.home, mac.host.launchDaemons, join(folder, "bin")]) await mkdir(path, { recursive: true });
    const socket = join(folder, "tools.sock");
    mac.#server.listen(socket);
    await once(mac.#server, "listening");
    const client = `exec '${process.execPath}' '${join(import.meta.dirname, "tool.mjs")}' '${socket}'`;
    for (const name of ["launchctl", ...Object.keys(tools)]) await mac.#command(name, `${client} ${name} "$@"`);
    await mac.#command(
      "sudo",
      (options.sudo ?? true)
        ? `[ "$1" = -n ] || exit 1; shift; echo "$*" >>'${join(folder, "root.log")}'; exec "$@"`
        : `echo 'sudo: a password is required' >&2; exit 1`,
    );
    return mac;
  }

  async #command(name: string, script: string): Promise<void> {
    const file = join(this.#folder, "bin", name);
    await writeFile(file, `#!/bin/sh\n${script}\n`);
    await chmod(file, 0o755);
  }

  #answer([name = "", ...words]: readonly string[]): Reply {
    if (name === "launchctl") return this.launchd.answer(words);
    return answerOf(name, words, this.#state);
  }

  /** Commands that ran by sudo, one a line. */
  get asRoot(): string[] {
    const log = join(this.#folder, "root.log");
    return existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.launchd[Symbol.asyncDispose]();
    this.#server.close();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
