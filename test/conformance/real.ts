/** An LM Studio that somebody uses: what may be asked of it as it is, and a home beside it for what changes something. */
import { access, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type Fact, type Need, needs, whyNotReal } from "./fact.ts";
import { Place } from "./place.ts";
import { Scratch, until } from "./scratch.ts";
import { judge, type Verdict } from "./verdict.ts";

/** Cannot be asked at all; the message says what to do. */
export class CannotAsk extends Error {}

/** Of a daemon's own API, tried by `lms` where no file names one (lms-common/src/apiServerPorts.ts). */
const daemonPorts = [41343, 52993, 16141, 39414, 22931];

export interface RealOptions {
  /** `…/.lmstudio` */
  readonly home: string;
  readonly facts: readonly Fact[];
  /** Also what changes something, in a home of its own. */
  readonly mutate: boolean;
  readonly say: (line: string) => void;
}

export async function askReal({ home, facts, mutate, say }: RealOptions): Promise<Verdict[]> {
  const place = new Place({ userHome: dirname(home), home });
  await checkHome(place);
  const found = await whatIsThere(place);
  say(`LM Studio in ${home}: ${found === "nothing" ? "no daemon runs" : `asked as far as "${found}"`}`);
  const verdicts: Verdict[] = [];
  for (const fact of facts) if ("reads" in fact) verdicts.push(await readFact(fact, place, found));
  const changing = facts.filter((fact) => "changes" in fact);
  return [...verdicts, ...(mutate ? await askScratch(place, changing, say) : changing.map(withoutMutate))].sort(
    (a, b) => a.fact.id.localeCompare(b.fact.id),
  );
}

async function readFact(fact: Extract<Fact, { needs: Need }>, place: Place, found: Need): Promise<Verdict> {
  if (needs.indexOf(fact.needs) <= needs.indexOf(found)) return await judge(fact, () => fact.reads(place));
  const why = {
    nothing: "",
    daemon: "no daemon runs",
    server: "no server runs",
    model: "no model is loaded",
    thinker: "no loaded model is known to think",
  };
  return { fact, is: "not asked", why: why[fact.needs] };
}

const withoutMutate = (fact: Fact): Verdict => ({
  fact,
  is: "not asked",
  why: whyNotReal(fact) ?? "it changes something; --mutate asks it in a scratch home",
});

/** `lms` finds its home by HOME and a pointer: it has to be the one that was meant. */
async function checkHome({ home, userHome, lmsProgram }: Place): Promise<void> {
  await access(lmsProgram).catch(() => {
    throw new CannotAsk(`there is no ${lmsProgram}: LMSTUDIO_HOME is the folder .lmstudio of an installed LM Studio`);
  });
  const pointed = (await readFile(join(userHome, ".lmstudio-home-pointer"), "utf8").catch(() => "")).trim();
  if (pointed === home || (pointed === "" && basename(home) === ".lmstudio")) return;
  throw new CannotAsk(
    `with HOME=${userHome} lms would take ${pointed || join(userHome, ".lmstudio")} for its home, not ${home}`,
  );
}

/** Nothing is started to find out. */
async function whatIsThere(place: Place): Promise<Need> {
  if ((await place.json("daemon", "status")).status !== "running") return "nothing";
  const { running, port } = await place.json("server", "status");
  if (running !== true) return "daemon";
  place.port = port;
  const loaded = (await place.json("ps")) as { identifier: string; type: string; path: string }[];
  const models = loaded.filter(({ type }) => type === "llm");
  const thinkers = await thinkingInstances(place);
  const thinker = models.find(({ identifier }) => thinkers.has(identifier));
  place.identifier = (thinker ?? models[0])?.identifier ?? "";
  return thinker !== undefined ? "thinker" : place.identifier === "" ? "server" : "model";
}

/** Identifiers of instances whose models list reasoning options. */
async function thinkingInstances(place: Place): Promise<Set<string>> {
  const { models = [] } = ((await place.get("/api/v1/models")).json ?? {}) as {
    models?: { capabilities?: { reasoning?: unknown }; loaded_instances?: { id: string }[] }[];
  };
  return new Set(
    models.flatMap(({ capabilities, loaded_instances = [] }) =>
      capabilities?.reasoning === undefined ? [] : loaded_instances.map(({ id }) => id),
    ),
  );
}

/** One home for all, put back before each: an installation takes gigabytes. It lies beside the real one, on the same disk. */
async function askScratch(place: Place, facts: readonly Fact[], say: (line: string) => void): Promise<Verdict[]> {
  await checkAlone(place);
  const model = await smallestModel(place);
  const userHome = await mkdtemp(join(place.userHome, ".lmstack-conformance-"));
  const home = join(userHome, ".lmstudio");
  try {
    const { path } = await place.readJson(".internal", "llmster-install-location.json");
    const scratch = new Scratch({ userHome, home }, [
      { path: "local/Tester-8B/Tester-8B.gguf", file: model },
      { path: "local/Twin-Tester-8B/Twin-Tester-8B.gguf", file: model },
    ]);
    say(`installing LM Studio once more in ${home}`);
    const { err } = await scratch.run(path, ["bootstrap"], { LMS_BOOTSTRAP_INSTALL_SH: "1", LMS_NO_MODIFY_PATH: "1" });
    await access(scratch.lmsProgram).catch(() => {
      throw new CannotAsk(`llmster bootstrap made no ${scratch.lmsProgram}: ${err.trim()}`);
    });
    const verdicts: Verdict[] = [];
    for (const fact of facts) {
      const why = whyNotReal(fact);
      if (why !== null) verdicts.push({ fact, is: "not asked", why });
      else if ("changes" in fact) {
        await putBack(scratch);
        verdicts.push(await judge(fact, () => fact.changes(scratch)));
        say(`${fact.id} ${verdicts.at(-1)?.is}`);
      }
    }
    await scratch.daemonDown();
    return verdicts;
  } finally {
    await rm(userHome, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** `lms` of a home without a daemon may find another home's: then a fact would end somebody's daemon. */
async function checkAlone(place: Place): Promise<void> {
  if ((await place.json("daemon", "status")).status === "running")
    throw new CannotAsk("--mutate needs LM Studio to be down: lms daemon down, then again");
  for (const port of daemonPorts) {
    const answer = await fetch(`http://127.0.0.1:${port}/lms-status`, { signal: AbortSignal.timeout(3000) }).catch(
      () => null,
    );
    if (answer !== null)
      throw new CannotAsk(`--mutate needs LM Studio to be down, but a daemon answers on port ${port}`);
  }
}

async function smallestModel(place: Place): Promise<string> {
  const settings = await place.readJson("settings.json").catch(() => ({}));
  const folder = typeof settings.downloadsFolder === "string" ? settings.downloadsFolder : place.file("models");
  const names = (await readdir(folder, { recursive: true }).catch(() => [])).filter((name) => name.endsWith(".gguf"));
  const files = await Promise.all(
    names.map(async (name) => ({
      file: join(folder, name),
      size: (await stat(join(folder, name)).catch(() => null))?.size ?? 0,
    })),
  );
  const [first] = files.filter(({ size }) => size > 0).sort((a, b) => a.size - b.size);
  if (first === undefined) throw new CannotAsk(`--mutate needs a GGUF in ${folder}; a small one will do`);
  return await realpath(first.file);
}

/** As it was after the installation, with two names of one model. */
async function putBack(scratch: Scratch): Promise<void> {
  if (await scratch.daemonRuns()) await scratch.daemonDown();
  await until(async () => !(await scratch.daemonRuns()));
  for (const name of [
    "settings.json",
    "models",
    ".internal/http-server-config.json",
    ".internal/cli-pref.json",
    ".internal/backend-preferences-v1.json",
    ".internal/user-concrete-model-default-config",
  ])
    await rm(scratch.file(name), { recursive: true, force: true });
  for (const name of await readdir(scratch.userHome))
    if (name !== ".lmstudio") await rm(join(scratch.userHome, name), { recursive: true, force: true });
  await mkdir(scratch.file(".internal", "temp"), { recursive: true });
  for (const { path, file } of scratch.models) {
    await mkdir(dirname(scratch.file("models", path)), { recursive: true });
    await symlink(file, scratch.file("models", path));
  }
}
