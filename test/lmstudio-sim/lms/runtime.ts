/** `lms runtime ls | get | select | remove | update | survey`. */
import { type EngineName, matchEngines, offeredEngines } from "../daemon/engines.ts";
import { wakingClient } from "./client.ts";
import { Fault, print, say } from "./console.ts";

const nameOf = (engine: EngineName): string => `${engine.name}@${engine.version}`;

const same = (a: EngineName | null, b: EngineName): boolean => a !== null && nameOf(a) === nameOf(b);

export async function runtimeLs(home: string): Promise<void> {
  const { installed, selected } = await (await wakingClient(home)).call("engines", {});
  const rows = installed.map(
    (engine) => `${nameOf(engine).padEnd(52)}${(same(selected, engine) ? "✓" : "").padEnd(12)}GGUF`,
  );
  print([`${"LLM ENGINE".padEnd(52)}${"SELECTED".padEnd(12)}MODEL FORMAT`, ...rows].join("\n"));
}

export async function runtimeGet(
  home: string,
  query: string | undefined,
  options: { list?: boolean; yes?: boolean },
): Promise<void> {
  const client = await wakingClient(home);
  const hits = query === undefined ? [...offeredEngines] : matchEngines(offeredEngines, query);
  if (options.list === true) return print(hits.map(nameOf).join("\n"));
  // Nothing found is no failure.
  if (hits[0] === undefined) return say(`No runtime extensions found for ${query ?? ""}`);
  if (hits.length > 1 && options.yes !== true)
    throw new Fault("Several runtimes match. Re-run with --yes or a more specific name.");
  await client.call("addEngine", hits[0]);
  say(`Installed ${nameOf(hits[0])}`);
}

export async function runtimeSelect(
  home: string,
  query: string | undefined,
  options: { latest?: boolean },
): Promise<void> {
  const client = await wakingClient(home);
  const { installed, selected } = await client.call("engines", {});
  const hits = matchEngines(installed, query ?? "").sort((a, b) =>
    b.version.localeCompare(a.version, undefined, { numeric: true }),
  );
  const chosen = hits[0];
  if (chosen === undefined) throw new Fault(`No installed runtime matches ${query ?? ""}`);
  if (hits.length > 1 && options.latest !== true)
    throw new Fault(`Several installed runtimes match: ${hits.map(nameOf).join(", ")}`);
  if (same(selected, chosen)) return say(`Already selected ${nameOf(chosen)} for gguf`);
  await client.call("selectEngine", { name: chosen.name, version: chosen.version });
  say(`Selected ${nameOf(chosen)} for gguf`);
}

export async function runtimeRemove(
  home: string,
  query: string,
  options: { yes?: boolean; dryRun?: boolean },
): Promise<void> {
  const client = await wakingClient(home);
  const hits = matchEngines((await client.call("engines", {})).installed, query);
  if (hits[0] === undefined) throw new Fault(`No installed runtime matches ${query}`);
  if (hits.length > 1 && options.yes !== true)
    throw new Fault("Cannot prompt for confirmation in a non-interactive environment. Re-run with --yes.");
  for (const engine of hits) {
    if (options.dryRun !== true) await client.call("removeEngine", engine);
    say(`${options.dryRun === true ? "Would remove" : "Removed"} ${nameOf(engine)}`);
  }
}

export async function runtimeUpdate(home: string, options: { yes?: boolean; dryRun?: boolean }): Promise<void> {
  const client = await wakingClient(home);
  const { installed } = await client.call("engines", {});
  const newer = offeredEngines.filter((engine) => !installed.some((other) => same(other, engine)));
  if (newer.length === 0) return say("All runtimes are up to date.");
  if (options.dryRun === true) return say(newer.map((engine) => `Would install ${nameOf(engine)}`).join("\n"));
  if (options.yes !== true)
    throw new Fault("Cannot prompt for confirmation in a non-interactive environment. Re-run with --yes.");
  for (const engine of newer) await client.call("addEngine", engine);
  say(`Updated ${newer.length} runtimes.`);
}

export async function runtimeSurvey(home: string, options: { json?: boolean }): Promise<void> {
  const engines = await (await wakingClient(home)).call("survey", {});
  if (options.json === true) return print(JSON.stringify({ engines }));
  print(engines.map((engine) => `${nameOf(engine).padEnd(52)}${engine.compatibility.status}`).join("\n"));
}
