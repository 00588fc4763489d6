/** One host, stood in for at hostctl's JSON: it believes everything that it is told, at once. What runs on it is known by its words. */
import { z } from "zod";
import type { ObserveDocument, Observed, Result } from "../../infra/spec/host-documents.ts";
import { dockerLabels } from "../../infra/spec/host-layout.ts";
import type { Container } from "./docker-api.ts";

export interface Answer {
  readonly code: number;
  readonly stdout: string;
}

/** Of what `converge`, `remove` and `prove` are sent. */
const documentSchema = z.looseObject({
  token: z.string(),
  id: z.string().optional(),
  load: z.object({ contextLength: z.number(), parallel: z.number() }).optional(),
  models: z.array(z.union([z.string(), z.looseObject({ id: z.string() })])).optional(),
});
type Document = z.output<typeof documentSchema>;

const hostctl = /hostctl\.mjs'?\\?"? (converge|remove|prove) ?([\w-]*)/;
const printed = (result: Result): Answer => ({ code: 0, stdout: `${JSON.stringify(result)}\n` });

export class StandInHost {
  readonly containers = new Map<string, Container>();
  /** Instances by the model's id. */
  readonly loaded = new Map<string, { readonly contextLength: number; readonly parallel: number }>();
  /** Models that it cannot load. */
  readonly refuses = new Set<string>();
  readonly #tokens = new Map<string, string>();
  readonly #user: string;
  #runtime: string | null = null;
  #stack: string | null = null;

  constructor(user: string) {
    this.#user = user;
  }

  /** @throws for words that no host of ours knows: the product has learnt new ones */
  run(words: string, input: string): Answer {
    if (words.includes("exec sh -s")) return { code: 0, stdout: this.#probed(input) };
    const [, verb, part = ""] = hostctl.exec(words) ?? [];
    if (verb === undefined) return this.#uploaded(words);
    const document = documentSchema.parse(JSON.parse(input));
    const name = document.id === undefined ? part || "proof" : `${part}-${document.id}`;
    if (verb === "remove") {
      this.#tokens.delete(name);
      if (part === "model") this.loaded.delete(document.id ?? "");
      return printed({ ok: true, changed: [] });
    }
    if (part === "model" && this.refuses.has(document.id ?? "")) {
      const error = {
        code: "load_failed",
        message: `${document.id} does not load`,
        hint: "declare another one",
      } as const;
      return { ...printed({ ok: false, error }), code: 1 };
    }
    if (part === "model" && document.load) this.loaded.set(document.id ?? "", document.load);
    this.#tokens.set(name, document.token);
    const observed = verb === "prove" ? { proofs: document.models?.map(proofOf) ?? [] } : undefined;
    return printed({ ok: true, token: document.token, changed: [], ...(observed ? { observed } : {}) });
  }

  /** The runtime is said to be there, and from then on it is. */
  #uploaded(words: string): Answer {
    if (words.includes("echo bundles")) return { code: 0, stdout: "node\nbundles\n" };
    const [, hash] = /ln -s runtime\/(\w+) /.exec(words) ?? [];
    const [, stack] = /printf %s (\S+) >\.stack/.exec(words) ?? [];
    const [, token] = /printf %s (\S+) >tokens/.exec(words) ?? [];
    if (hash === undefined || stack === undefined || token === undefined)
      throw new Error(`the stand-in for a host does not know this call: ${words}`);
    this.#runtime = hash;
    this.#stack = stack;
    this.#tokens.set("runtime", token);
    return printed({ ok: true, changed: [], token });
  }

  #probed(script: string): string {
    const [, quoted = ""] = /DOCUMENT='((?:[^']|'\\'')*)'/.exec(script) ?? [];
    const document = JSON.parse(quoted.replaceAll("'\\''", "'")) as ObserveDocument;
    const models = [...script.matchAll(/^model (\d+) '/gm)].map(
      ([, index]) => `model\t${index} file 17179869184 GGUF -`,
    );
    const facts: Record<string, string | number> = {
      ...{ system: "Linux", machine: "x86_64", uid: 1000, gid: 1000, user: this.#user, home: `/home/${this.#user}` },
      ...{ free: 500 * 2 ** 30, glibc: "2.41", libatomic: 1, sudo: "yes", docker: "28.0.0", lms: "declared" },
      ...{ gpu: "580.95.05, 32607, NVIDIA GeForce RTX 5090", runtime: this.#runtime ?? "", stack: this.#stack ?? "" },
    };
    const result: Result<Observed> = { ok: true, changed: [], observed: this.#observed(document) };
    return [
      ...Object.entries(facts).map(([name, value]) => `${name}\t${value}`),
      ...[...this.#tokens].map(([name, token]) => `token\t${name} ${token}`),
      ...models,
      ...(this.#runtime === null ? [] : [`observed\t${JSON.stringify(result)}`]),
      "",
    ].join("\n");
  }

  #observed({ models, lmstudio, backendPort, proxyPort }: ObserveDocument): Observed {
    const there = this.#tokens.has("lmstudio");
    return {
      lmstudio: {
        installedVersion: lmstudio.version,
        daemon: { running: there, pid: 7, supervised: there },
        server: { greeting: there, port: backendPort, address: "127.0.0.1" },
        service: { active: there, enabled: there, sha256: "s", expectedSha256: "s" },
        settingsDrift: [],
        engine: lmstudio.engine ?? null,
        adopted: false,
      },
      models: Object.fromEntries(
        models.map(({ id }) => {
          const instance = this.loaded.get(id);
          const instances = instance === undefined ? [] : [{ identifier: id, ...instance }];
          return [id, { imported: instance !== undefined, verified: this.#tokens.has(`model-file-${id}`), instances }];
        }),
      ),
      incidents: {},
      journal: [],
      proxy: {
        filesSha256: "f",
        expectedFilesSha256: "f",
        port: proxyPort,
        imagePresent: this.#tokens.has("proxy-image"),
        containers: [...this.containers].map(([id, { config, running }]) => ({
          id,
          token: config.Labels[dockerLabels.token] ?? "",
          running,
          health: running ? "healthy" : "none",
        })),
        service: null,
      },
    };
  }
}

const proofOf = (model: NonNullable<Document["models"]>[number]) => ({
  id: typeof model === "string" ? model : model.id,
  ...{ tokensPerSecond: 50, firstTokenMs: 100, contextAccepted: null, strategies: {}, findings: [] },
});
