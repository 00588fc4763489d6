/** The places of LM Studio's stand-in: one that many facts read, and a home of its own for each fact that changes something. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Installation, type InstallOptions, installInto } from "../lmstudio-sim/install.ts";
import type { Fact } from "./fact.ts";
import { Place } from "./place.ts";
import { freePort, Scratch } from "./scratch.ts";

/** Quick to think and to speak. */
const quick = { thinkTokens: 5, tokenMs: 0 };
const names = ["Tester-8B", "Twin-Tester-8B"] as const;

async function install(options: InstallOptions): Promise<{ userHome: string; sim: Installation }> {
  const userHome = await mkdtemp(join(tmpdir(), "lmstudio-facts-"));
  return { userHome, sim: await installInto(userHome, options) };
}

async function remove(userHome: string, sim: Installation): Promise<void> {
  await sim.stop();
  await rm(userHome, { recursive: true, force: true, maxRetries: 5 });
}

/** Daemon, server and a model that thinks. */
export async function standingPlace(): Promise<{ place: Place; close: () => Promise<void> }> {
  const { userHome, sim } = await install({ models: [{ name: names[0], ...quick }] });
  const place = new Place({ userHome, home: sim.home });
  const close = () => remove(userHome, sim);
  try {
    place.identifier = "facts/model";
    for (const words of [
      ["load", names[0].toLowerCase(), "-y", "--identifier", place.identifier, "-c", "8192"],
      ["server", "start", "--port", String(await freePort())],
    ]) {
      const { code, err } = await place.lms(...words);
      if (code !== 0) throw new Error(`lms ${words[0]}: ${err}`);
    }
    place.port = (await place.json("server", "status")).port;
    return { place, close };
  } catch (error) {
    await close();
    throw error;
  }
}

export async function checkOnStandIn(fact: Fact, standing: Place): Promise<void> {
  if ("reads" in fact) return await fact.reads(standing);
  const models = names.map((name) => ({ name, ...quick }));
  const { userHome, sim } = await install({
    models,
    ...(fact.llmster === undefined ? {} : { version: fact.llmster }),
    ...(fact.traps === undefined ? {} : { traps: fact.traps }),
  });
  try {
    const [one, other] = names.map((name) => {
      const path = `local/${name}/${name}.gguf`;
      return { path, file: join(sim.home, "models", path) };
    }) as [{ path: string; file: string }, { path: string; file: string }];
    await fact.changes(new Scratch({ userHome, home: sim.home }, [one, other]));
  } finally {
    await remove(userHome, sim);
  }
}
