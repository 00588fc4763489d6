/**
 * `lmstack serve`: the old script's command line and environment as a stack's file. Pure. A variable that is not set leaves what the file says; a new
 * file says what the script did without it.
 */
import { basename, dirname } from "node:path";
import { Document } from "yaml";
import { type Fault, fault, faultLine, shown } from "../spec/faults.ts";
import { checkHostSpec } from "../spec/parse.ts";
import { isLoopback } from "../spec/rules.ts";
import { UsageFault } from "./fault.ts";
import { type ModelWish, numeric, putModel, setIfOther } from "./model-plan.ts";
import { specOf, specPath, textOf, yamlOf } from "./stack-yaml.ts";

/** What was typed, as parts of a spec. Only what was said. */
export interface ServeWish {
  readonly model: ModelWish;
  readonly bind?: string | undefined;
  readonly port?: number | string | undefined;
  readonly backendPort?: number | string | undefined;
  /** Whose `.lmstudio` it is, when not that of who connects. */
  readonly owner?: string | undefined;
}

/** What a new stack's file has to say of the machine. */
export interface Machine {
  readonly platform: "linux-cuda" | "linux-cpu" | "macos-metal";
  readonly connection: Readonly<Record<string, unknown>>;
  /** Docker answers to who connects. */
  readonly docker: boolean;
}

/** Where what was typed went; `MODEL` stands for the model's place. */
const typed: Readonly<Record<string, readonly [variable: string, of: (wish: ServeWish) => unknown]>> = {
  "MODEL.id": ["<identifier>", ({ model }) => model.id],
  "MODEL.source": ["<gguf>", ({ model }) => model.source],
  "MODEL.source.path": ["<gguf>", ({ model }) => model.source],
  "MODEL.publisher": ["MODEL_USER", ({ model }) => model.publisher],
  "MODEL.repo": ["MODEL_REPO", ({ model }) => model.repo],
  "MODEL.import": ["LMS_IMPORT_MODE", ({ model }) => model.import],
  "MODEL.load.gpu": ["LMS_GPU", ({ model }) => model.load.gpu],
  "MODEL.load.contextLength": ["LMS_CONTEXT_LENGTH", ({ model }) => model.load.contextLength],
  "MODEL.load.parallel": ["LMS_PARALLEL", ({ model }) => model.load.parallel],
  "proxy.bind": ["LMS_BIND", ({ bind }) => bind],
  "proxy.port": ["LMS_PORT", ({ port }) => port],
  "lmstudio.backendPort": ["LMS_BACKEND_PORT", ({ backendPort }) => backendPort],
  "lmstudio.user": ["LMSTUDIO_HOME", ({ owner }) => owner],
};

/**
 * @param gguf absolute, as the machine that serves sees it
 * @param account of who connects there
 * @throws UsageFault with all that cannot be meant
 */
export function readServe(
  { gguf, identifier }: { readonly gguf: string; readonly identifier: string },
  environment: Readonly<Record<string, string | undefined>>,
  account: string,
): ServeWish {
  // As the script reads them: empty is not set.
  const said = (name: string): string | undefined => environment[name] || undefined;
  const number = (name: string) => {
    const text = said(name);
    return text === undefined ? undefined : numeric(text);
  };
  const faults: Fault[] = [];
  const thinking = said("LMS_DISABLE_THINKING");
  if (thinking !== undefined && thinking !== "0" && thinking !== "1")
    faults.push(
      fault("LMS_DISABLE_THINKING", shown(thinking), "1 (thinking off) or 0 (thinking on)", "correct it or unset it"),
    );
  const home = said("LMSTUDIO_HOME")?.replace(/\/+$/, "");
  if (home !== undefined && (!home.startsWith("/") || basename(home) !== ".lmstudio"))
    faults.push(
      fault(
        "LMSTUDIO_HOME",
        shown(home),
        "the folder .lmstudio in the home of the user that LM Studio belongs to",
        "unset it, or name such a folder",
      ),
    );
  if (faults.length > 0) throw new UsageFault(["nothing was changed:", ...faults.map(faultLine)].join("\n  "));
  const owner = home === undefined ? undefined : basename(dirname(home));
  return {
    model: {
      id: identifier,
      source: { path: gguf },
      import: said("LMS_IMPORT_MODE"),
      publisher: said("MODEL_USER"),
      repo: said("MODEL_REPO"),
      thinking: thinking === undefined ? undefined : thinking === "0" ? "on" : "off",
      load: {
        gpu: number("LMS_GPU"),
        contextLength: number("LMS_CONTEXT_LENGTH"),
        parallel: number("LMS_PARALLEL"),
      },
    },
    bind: said("LMS_BIND"),
    port: number("LMS_PORT"),
    backendPort: number("LMS_BACKEND_PORT"),
    owner: owner === account ? undefined : owner,
  };
}

/**
 * @param text of the stack's file, undefined where there is none
 * @param machine asked for only when the file does not say it
 * @throws UsageFault when the spec would refuse the result
 */
export function servedStack(
  text: string | undefined,
  file: string,
  wish: ServeWish,
  machine: Machine | undefined,
): string {
  const document = text === undefined ? new Document({ config: {} }) : yamlOf(text, file);
  const put = (path: readonly string[], value: unknown) => setIfOther(document, [...specPath, ...path], value);
  const missing = (path: readonly string[]) => !document.hasIn([...specPath, ...path]);
  if (machine !== undefined) {
    if (missing(["platform"])) put(["platform"], machine.platform);
    if (missing(["connection"])) document.setIn([...specPath, "connection"], document.createNode(machine.connection));
  }
  put(["lmstudio", "user"], wish.owner);
  put(["lmstudio", "backendPort"], wish.backendPort);
  const place = putModel(document, wish.model);
  if (missing(["proxy"])) document.setIn([...specPath, "proxy"], document.createNode({ bind: "0.0.0.0", port: 8080 }));
  put(["proxy", "bind"], wish.bind);
  put(["proxy", "port"], wish.port);
  if (machine?.docker === false && machine.platform !== "macos-metal" && missing(["proxy", "runtime"]))
    put(["proxy", "runtime"], "native");
  const { bind, keys, allowAnonymous } = (specOf(document).proxy ?? {}) as Record<string, unknown>;
  // The script let everybody in who could reach it; the file says so in a word that a person sees. An empty list had keys once.
  if (keys === undefined && allowAnonymous === undefined && !isLoopback(String(bind ?? "0.0.0.0")))
    put(["proxy", "allowAnonymous"], true);

  const { faults } = checkHostSpec(specOf(document));
  if (faults.length > 0)
    throw new UsageFault(
      ["nothing was changed:", ...faults.map((one) => faultLine(byVariable(one, place, wish)))].join("\n  "),
    );
  const after = textOf(document);
  // What is only laid out differently is as it was.
  return text !== undefined && textOf(yamlOf(text, file)) === after ? text : after;
}

/** Who typed a variable knows it better than the key that it became. */
function byVariable(found: Fault, place: number, wish: ServeWish): Fault {
  const [variable, of] = typed[found.where.replace(`models[${place}]`, "MODEL")] ?? [];
  if (variable === undefined || of?.(wish) === undefined) return found;
  return { ...found, where: `${variable} (${found.where})`, next: found.next.replace(found.where, variable) };
}

/** A stack for each host, called as the host; `local` is this machine. */
export const stackName = (host: string | undefined): string =>
  host === undefined
    ? "local"
    : host
        .replace(/[^A-Za-z0-9]+/g, "-")
        .replace(/^-|-$/g, "")
        .toLowerCase() || "host";
