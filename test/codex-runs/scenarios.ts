/** The ten things that people do with Codex, each with a model that does its part and with what must be found on the disk afterwards. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { searchName } from "../../proxy/search/tool.ts";
import { codexExec, type Ending } from "./codex.ts";
import { call, compactionRequest, inSteps, leave, type Model, say, titleRequest } from "./model.ts";
import type { Place } from "./place.ts";
import { playTerminal } from "./terminal-play.ts";

export interface Scenario {
  readonly name: string;
  readonly what: string;
  readonly model: Model;
  readonly contextLength?: number;
  readonly search?: boolean;
  readonly vision?: boolean;
  readonly toml?: (work: string) => string;
  readonly prepare?: (work: string) => Promise<void>;
  /** Each use of Codex, ended by force after `seconds`. */
  readonly play: (place: Place, seconds: number) => Promise<readonly Ending[]>;
  /** Lines of `effects.log`, in order. */
  readonly effects: readonly string[];
  /** Those that will do as well when LM Studio fails. */
  readonly lesserEffects?: readonly string[];
  /** What is wrong with the rest, in words. */
  readonly wrong?: (place: Place, endings: readonly Ending[]) => Promise<readonly string[]>;
}

const once =
  (task: string, ...options: string[]): Scenario["play"] =>
  async (place, seconds) => [await codexExec(place, [...options, task], seconds)];

const answers = (endings: readonly Ending[], words: string): readonly string[] =>
  endings.at(-1)?.answer.includes(words) ? [] : [`the answer is not "${words}" but "${endings.at(-1)?.answer.trim()}"`];

const refusedImage = /not allowed|do not support|takes text only/;

/** One white pixel. */
const png = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg==",
  "base64",
);

const patch = (...lines: string[]) =>
  call("apply_patch", { input: ["*** Begin Patch", ...lines, "*** End Patch", ""].join("\n") });

const secretWord = "amaranth";
/** About 3,500 tokens of output: nine of them are more than a window of 32k holds. */
const bigSteps = 10;

export const scenarios: readonly Scenario[] = [
  {
    name: "shell",
    what: "runs commands in three steps",
    model: inSteps(
      () => [leave("one")],
      () => [leave("two")],
      () => [leave("three")],
      () => say("All three steps are done."),
    ),
    play: once("Do the three steps."),
    effects: ["one", "two", "three"],
    wrong: async (_place, endings) => answers(endings, "All three steps are done."),
  },
  {
    name: "apply-patch",
    what: "creates, edits and deletes files with apply_patch",
    prepare: async (work) => {
      await writeFile(join(work, "edited.txt"), "first\nlast\n");
      await writeFile(join(work, "deleted.txt"), "to go\n");
    },
    model: inSteps(
      () => [patch("*** Add File: created.txt", '+It says "héllo" \\ and ends.')],
      () => [patch("*** Update File: edited.txt", "@@", " first", "+between", " last")],
      () => [patch("*** Delete File: deleted.txt")],
      ({ outputs }) => [leave(outputs.every((output) => output.includes("Success")) ? "patched" : "not-patched")],
      () => say("The files are as they should be."),
    ),
    play: once("Create, edit and delete."),
    effects: ["patched"],
    wrong: async ({ work }) => {
      const read = async (name: string) => await readFile(join(work, name), "utf8").catch(() => undefined);
      const found = {
        created: await read("created.txt"),
        edited: await read("edited.txt"),
        deleted: await read("deleted.txt"),
      };
      const expected = {
        created: 'It says "héllo" \\ and ends.\n',
        edited: "first\nbetween\nlast\n",
        deleted: undefined,
      };
      return JSON.stringify(found) === JSON.stringify(expected) ? [] : [`the files are ${JSON.stringify(found)}`];
    },
  },
  {
    name: "mcp",
    what: "calls a tool of a real MCP server and uses what it gives",
    prepare: (work) => writeFile(join(work, "secret.txt"), `The word is ${secretWord}.\n`),
    toml: (work) => {
      const program = fileURLToPath(import.meta.resolve("@modelcontextprotocol/server-filesystem/dist/index.js"));
      return `[mcp_servers.files]\ncommand = ${JSON.stringify(process.execPath)}\nargs = ${JSON.stringify([program, work])}\n`;
    },
    model: inSteps(
      () => [call("mcp__files__read_text_file", { path: "secret.txt" })],
      ({ outputs }) => [leave(/The word is (\w+)/.exec(outputs[0] ?? "")?.[1] ?? "no-word")],
      () => [call("mcp__files__write_file", { path: "written.txt", content: "by the server\n" })],
      () => say("The server was of use."),
    ),
    play: once("Read the secret with the server."),
    effects: [secretWord],
    wrong: async ({ work }) =>
      (await readFile(join(work, "written.txt"), "utf8").catch(() => "")) === "by the server\n"
        ? []
        : ["the server has written nothing"],
  },
  {
    name: "sub-agent",
    what: "spawns a sub-agent, waits for it and closes it",
    model: (view) => (view.task.startsWith("CHILD") ? child(view) : parent(view)),
    play: once("Let somebody else do it."),
    effects: ["by-the-child", "completed"],
  },
  {
    name: "view-image",
    what: "shows an image to a model that takes images",
    vision: true,
    prepare: (work) => writeFile(join(work, "pixel.png"), png),
    model: inSteps(
      () => [call("view_image", { path: "pixel.png" })],
      ({ sees, outputs }) => [leave(sees ? "seen" : refusedImage.test(outputs[0] ?? "") ? "refused" : "lost")],
      () => say("It is white."),
    ),
    play: once("Look at pixel.png."),
    effects: ["seen"],
    // While the model is being loaded nobody knows yet that it takes images.
    lesserEffects: ["refused"],
  },
  {
    name: "no-image",
    what: "an image for a model that takes text only is refused in words",
    prepare: (work) => writeFile(join(work, "pixel.png"), png),
    model: inSteps(
      () => [call("view_image", { path: "pixel.png" })],
      ({ outputs }) => [leave(refusedImage.test(outputs[0] ?? "") ? "refused" : "seen")],
      () => say("I cannot see it."),
    ),
    play: once("Look at pixel.png."),
    effects: ["refused"],
  },
  {
    name: "compaction",
    what: "compacts in time on a window of 32k and goes on",
    contextLength: 32_768,
    model: (view) => {
      if (view.task.startsWith(compactionRequest)) return say(`SUMMARY: ${done(view.said)} steps are done.`);
      const next = done(view.said) + 1;
      if (next > bigSteps) return say("All steps are done.");
      return [
        ...say("Now the next one."),
        leave(`big-${next}`, `echo begin-${next} && seq 1 3500 && echo end-${next}`),
      ];
    },
    play: once("Do the big steps."),
    effects: Array.from({ length: bigSteps }, (_, index) => `big-${index + 1}`),
    wrong: async ({ sim }, endings) => {
      const asked = sim.bodies("/v1/responses").filter((body) => JSON.stringify(body).includes(compactionRequest));
      return [...(asked.length > 0 ? [] : ["nothing was compacted"]), ...answers(endings, "All steps are done.")];
    },
  },
  {
    name: "resume",
    what: "goes on with an earlier conversation",
    model: (view) => {
      if (view.outputs.length > 0) return say("Noted.");
      if (view.task.includes("word")) return [leave("first-turn")];
      return [leave(/the word (\w+)/.exec(view.said)?.[1] ?? "forgotten")];
    },
    play: async (place, seconds) => [
      await codexExec(place, [`Remember the word ${secretWord}.`], seconds),
      await codexExec(place, ["resume", "--last", "Which one was it?"], seconds),
    ],
    effects: ["first-turn", secretWord],
  },
  {
    name: "output-schema",
    what: "answers in the form that --output-schema asks for",
    prepare: (work) => writeFile(join(work, "schema.json"), JSON.stringify(answerSchema)),
    model: inSteps(
      () => [leave("looked")],
      () => say('{"files": 3}'),
    ),
    play: once("How many files are there?", "--output-schema", "schema.json"),
    effects: ["looked"],
    wrong: async ({ sim }, endings) => {
      const bodies = sim.bodies("/v1/responses") as { text?: { format?: { schema?: unknown } } }[];
      const asked = bodies.find(({ text }) => text !== undefined);
      const same = JSON.stringify(asked?.text?.format?.schema) === JSON.stringify(answerSchema);
      const given = endings.at(-1)?.answer.trim();
      return [
        ...(same ? [] : [`LM Studio was not told the schema but ${JSON.stringify(asked?.text)}`]),
        ...(given === '{"files": 3}' ? [] : [`the answer is ${given}`]),
      ];
    },
  },
  {
    name: "web-search",
    what: "searches the web through the proxy",
    search: true,
    model: inSteps(
      () => [call(searchName, { query: "lmstack secret word" })],
      ({ outputs }) => [leave(/heliotrope/.exec(outputs[0] ?? "")?.[0] ?? "nothing-found")],
      () => say("Found it."),
    ),
    play: once("Search for the secret word of lmstack."),
    effects: ["heliotrope"],
    wrong: async ({ searxng }) =>
      searxng?.queries.join() === "lmstack secret word"
        ? []
        : [`searched for: ${searxng?.queries.join() || "nothing"}`],
  },
  {
    name: "terminal",
    what: "the terminal interface: a turn beside its title, Esc, and a second turn",
    model: (view) => {
      if (view.task.includes("endless")) return say("and on ".repeat(5_000));
      if (view.outputs.length > 0) return say(`Done with ${view.task}`);
      return [leave(view.task.includes("first") ? "first" : "second")];
    },
    play: playTerminal,
    effects: ["first", "second"],
    wrong: async ({ sim }) =>
      sim.bodies("/v1/responses").some((body) => JSON.stringify(body.input).includes(titleRequest))
        ? []
        : ["no title was asked for"],
  },
];

const answerSchema = {
  type: "object",
  properties: { files: { type: "integer" } },
  required: ["files"],
  additionalProperties: false,
};

const child = inSteps(
  () => [leave("by-the-child")],
  () => say("The child is done."),
);

const agentId = (outputs: readonly string[]): string => /"agent_id":\s*"([^"]+)"/.exec(outputs[0] ?? "")?.[1] ?? "";

const parent = inSteps(
  () => [call("multi_agent_v1__spawn_agent", { message: "CHILD: leave a line." })],
  ({ outputs }) => [call("multi_agent_v1__wait_agent", { targets: [agentId(outputs)], timeout_ms: 60_000 })],
  ({ outputs }) => [call("multi_agent_v1__close_agent", { target: agentId(outputs) })],
  ({ outputs }) => [leave(/"completed"/.test(outputs[2] ?? "") ? "completed" : "not-completed")],
  () => say("Somebody else did it."),
);

/** How many of the big steps the conversation knows of. */
function done(said: string): number {
  const inFull = [...said.matchAll(/^end-(\d+)$/gm)].map((match) => Number(match[1]));
  const inSummary = [...said.matchAll(/SUMMARY: (\d+) steps/g)].map((match) => Number(match[1]));
  return Math.max(0, ...inFull, ...inSummary);
}
