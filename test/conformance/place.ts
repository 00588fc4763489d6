/** Where an LM Studio is, and the ways in which a fact may ask it. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body parsed; null when it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever LM Studio says; each fact asserts the shape that it is about.
  readonly json: any;
}

export interface Caller {
  readonly userHome: string;
  /** `.lmstudio` of that user. */
  readonly home: string;
  /** Environment on top of the user's. */
  readonly environment?: Readonly<Record<string, string>>;
}

export class Place {
  readonly userHome: string;
  readonly home: string;
  readonly lmsProgram: string;
  /** Null while no server is known. */
  port: number | null = null;
  /** Identifier of an instance that may be asked something. */
  identifier = "";

  constructor({ userHome, home }: Caller) {
    this.userHome = userHome;
    this.home = home;
    this.lmsProgram = join(home, "bin", "lms");
  }

  /** Without a terminal and with empty input. */
  lms(...args: string[]): Promise<Ran> {
    return this.run(this.lmsProgram, args);
  }

  /** `lms … --json`, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: as in Answer.
  async json(...args: string[]): Promise<any> {
    return JSON.parse((await this.lms(...args, "--json")).out);
  }

  run(program: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ran> {
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, { env: this.environment(environment), stdio: ["ignore", "pipe", "pipe"] });
      let out = "";
      let err = "";
      child.stdout.on("data", (chunk: Buffer) => {
        out += chunk.toString();
      });
      child.stderr.on("data", (chunk: Buffer) => {
        err += chunk.toString();
      });
      child.once("error", reject);
      child.once("close", (code) => resolve({ code, out, err }));
    });
  }

  /** Nothing of the caller's own: its HOME decides which LM Studio is meant. */
  environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return { HOME: this.userHome, PATH: "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", ...more };
  }

  file(...names: string[]): string {
    return join(this.home, ...names);
  }

  // biome-ignore lint/suspicious/noExplicitAny: as in Answer.
  async readJson(...names: string[]): Promise<any> {
    return JSON.parse(await readFile(this.file(...names), "utf8"));
  }

  get(path: string): Promise<Answer> {
    return this.#ask(path, {});
  }

  post(path: string, body: unknown): Promise<Answer> {
    return this.#ask(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  /** A short question by the dialect of `path`, put to the loaded model, with `more` in its body. */
  ask(path: string, more: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    const question = "How many prime numbers are below 10? Say it in one short sentence.";
    const chat = { messages: [{ role: "user", content: question }], max_tokens: 400 };
    const body = path.endsWith("/responses")
      ? { input: question, max_output_tokens: 400 }
      : path === "/api/v1/chat"
        ? { input: question, max_output_tokens: 400 }
        : path.endsWith("/completions") && !path.endsWith("/chat/completions")
          ? { prompt: question, max_tokens: 40 }
          : path.endsWith("/embeddings")
            ? { input: question }
            : chat;
    return this.post(path, { model: this.identifier, ...body, ...more });
  }

  async #ask(path: string, init: RequestInit): Promise<Answer> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, init);
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: parsed(text) };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export interface StreamEvent {
  readonly event: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: as in Answer.
  readonly data: any;
}

/** Events of a stream that has ended; `[DONE]` stays a string. */
export const streamEvents = (text: string): StreamEvent[] =>
  text
    .split(/\r?\n\r?\n/)
    .filter((block) => block.includes("data:"))
    .map((block) => {
      const data = /^data: ?(.*)$/m.exec(block)?.[1] ?? "";
      return { event: /^event: ?(.*)$/m.exec(block)?.[1] ?? null, data: parsed(data) ?? data };
    });
