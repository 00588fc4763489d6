/** How lmstack survives each trap of the stand-in, and which test shows it: docs/survival.md, written by `npm run facts`. */
import { join } from "node:path";
import { projectRoot } from "../lmstudio-sim/bundle.ts";
import type { Traps } from "../lmstudio-sim/traps.ts";
import { facts } from "./facts.ts";

interface Survival {
  /** What LM Studio does then. */
  readonly trap: string;
  /** Empty for what no source tells of LM Studio itself: it is only possible. */
  readonly facts: readonly `LMS-${number}`[];
  readonly lmstack: string;
  /** A file below `test/` and the name of a test in it. */
  readonly shown: readonly [file: string, test: string];
}

const survives = "unit/hostctl/survival.test.ts";
const comesUp: Survival["shown"] = [
  survives,
  "a daemon that is slow, busy, verified wrongly, lacks a folder and updates its engines comes up as declared",
];
const upAgain: Survival["shown"] = [survives, "a daemon that dies of requests, or hangs, is up again with its models"];
const refuses: Survival["shown"] = [
  "unit/hostctl/host-life.test.ts",
  "refuses in words what cannot be, and changes nothing",
];
const takenBack: Survival["shown"] = [
  "unit/hostctl/upgrade/upgrade.test.ts",
  "a broken version is taken back by itself and the failure says why; one that holds stays, and keeps the one before",
];
const strict: Survival["shown"] = [
  "container/model-requests.test.ts",
  "has its request accepted by a strict LM Studio, and is told which tools were left out",
];
const leak: Survival["shown"] = [
  "container/model-requests.test.ts",
  "a thought that LM Studio lets through as text is cut out of the answer, whole or streamed",
];
const translate = "unit/proxy/codex/request/translate.test.ts";
const tools = "unit/proxy/codex/request/tools.test.ts";
const items = "unit/proxy/codex/request/items.test.ts";
const cutPrompts: Survival["shown"] = [
  "unit/hostctl/prove/prove-once.test.ts",
  "fails with the transcript for a model %s",
];
const anotherWay: Survival["shown"] = [
  "unit/proxy/wishes.test.ts",
  "is asked in another way the next time, until one works",
];

/** Its type keeps it complete: a trap without a row does not compile. */
export const survival: Readonly<Record<keyof Traps, Survival>> = {
  lmsDelayMs: {
    trap: "every call of `lms` takes 300 to 500 ms",
    facts: [],
    lmstack: "the supervisor's steady looks go by process table and HTTP, without `lms`",
    shown: ["unit/hostctl/host-life.test.ts", "is repaired by its supervisor, which tells what had happened"],
  },
  loadMs: {
    trap: "a load takes long",
    facts: [],
    lmstack: "waits, tells how long it has been, and holds the requests of that model",
    shown: [
      "unit/hostctl/supervisor/swap.test.ts",
      "a model whose context changes is unloaded only when its requests have ended, and they go on when it is there again",
    ],
  },
  loadBytesPerSecond: {
    trap: "a load takes as long as its file is large",
    facts: [],
    lmstack: "waits for it",
    shown: comesUp,
  },
  loadFails: {
    trap: "a load fails",
    facts: ["LMS-100"],
    lmstack: "`up` fails with LM Studio's own words, and nothing of the new declaration stays",
    shown: refuses,
  },
  gpuMemoryBytes: {
    trap: "the GPU has no room for a model",
    facts: ["LMS-114", "LMS-115"],
    lmstack: "says so, and leaves what is loaded alone",
    shown: [
      survives,
      "a model for which the GPU has no room is refused with the reason, and the one beside it serves on",
    ],
  },
  downExitMs: {
    trap: "`daemon down` returns while the process still lives",
    facts: ["LMS-052"],
    lmstack: "waits for the process, and kills it in the end",
    shown: comesUp,
  },
  daemonStartMs: {
    trap: "the daemon needs long before it answers",
    facts: ["LMS-033"],
    lmstack: "waits for it, and tries again after a while",
    shown: comesUp,
  },
  wakePollMs: {
    trap: "`lms` looks again and again whether the daemon is up",
    facts: ["LMS-033"],
    lmstack: "gives the call more time than it takes",
    shown: comesUp,
  },
  verifyIntervalMs: {
    trap: "`server start` takes up to five looks, a second apart",
    facts: ["LMS-055"],
    lmstack: "gives the call more time than it takes",
    shown: comesUp,
  },
  serverVerifyFails: {
    trap: "`server start` says that it failed although the server runs",
    facts: ["LMS-065"],
    lmstack: "looks by itself: who greets, on which address",
    shown: comesUp,
  },
  bindIgnored: {
    trap: "`--bind` is not honoured",
    facts: ["LMS-066"],
    lmstack: "wants loopback alone, and reads the address from the kernel",
    shown: comesUp,
  },
  textFileBusyMs: {
    trap: "`Text file busy` right after the daemon's start",
    facts: ["LMS-117", "LMS-193"],
    lmstack: "makes the call again, with growing pauses",
    shown: comesUp,
  },
  cpuEngineSelected: {
    trap: "the CPU's engine is selected on a CUDA host",
    facts: ["LMS-183"],
    lmstack: "selects the right one and proves it",
    shown: [
      "unit/hostctl/lmstudio/cuda-engine.test.ts",
      "the CPU's engine that a fresh CUDA host has selected is corrected, and the next run is empty",
    ],
  },
  engineUpdatesItself: {
    trap: "engines update themselves, and the new one is selected",
    facts: ["LMS-172"],
    lmstack: "switches that off before the first start, and proves the declared engine after every one",
    shown: comesUp,
  },
  ownedByGui: {
    trap: "the desktop application owns the daemon",
    facts: ["LMS-044", "LMS-051"],
    lmstack: "refuses in words, and touches nothing",
    shown: refuses,
  },
  tempFolderMissing: {
    trap: "loads fail because a folder was not made",
    facts: ["LMS-116"],
    lmstack: "makes it",
    shown: comesUp,
  },
  jitSettingIgnored: {
    trap: "loading on demand cannot be switched off",
    facts: ["LMS-207"],
    lmstack: "loads every declared model itself; the proxy lets through declared names only",
    shown: comesUp,
  },
  libatomicMissing: {
    trap: "libatomic.so.1 is missing",
    facts: ["LMS-075"],
    lmstack: "says so before anything is installed, with the package",
    shown: ["unit/hostctl/lmstudio/prerequisites.test.ts", "everything at once"],
  },
  crashAfterTokens: {
    trap: "the process dies in the middle of an answer",
    facts: ["LMS-237"],
    lmstack: "the client gets an end that it can read; the supervisor brings all back",
    shown: ["container/errors.test.ts", "a stream that LM Studio breaks off ends in a failure event and cleanly"],
  },
  crashAfterRequests: {
    trap: "the process dies after it has served for a while",
    facts: ["LMS-238"],
    lmstack:
      "the supervisor starts daemon, server and models again; where that holds for less than a minute five times in five minutes, it says so and tries every five minutes",
    shown: upAgain,
  },
  serverHangs: {
    trap: "connections are taken and nothing is answered",
    facts: ["LMS-239"],
    lmstack:
      "eight silent greetings in a row, some 16 s, count as hung: the server is stopped and started, and where that does not help the daemon is ended and started",
    shown: upAgain,
  },
  serverDoesNotListen: {
    trap: "`server start` of a broken version starts nothing",
    facts: [],
    lmstack: "`up` goes back to the last good version and says why",
    shown: takenBack,
  },
  crashAtStart: {
    trap: "a broken version dies as soon as it has started",
    facts: [],
    lmstack: "`up` goes back to the last good version and says why",
    shown: takenBack,
  },
  thinksAnyway: {
    trap: "thinking comes back with another version",
    facts: ["LMS-279"],
    lmstack:
      "`up` goes back to the last good version and says why; where it comes back without an `up`, the supervisor's own proof after the restart tells",
    shown: takenBack,
  },
  byVersion: {
    trap: "versions differ in what they do",
    facts: ["LMS-279"],
    lmstack: "a new version is proved beside the old before it is switched to",
    shown: takenBack,
  },
  promptCutAt: {
    trap: "a prompt that is too long is cut without a word",
    facts: [],
    lmstack: "the proof counts the tokens of a long prompt, and `up` fails when some are missing",
    shown: cutPrompts,
  },
  tokensPerSlot: {
    trap: "slots share the context, so that a request has less of it than the lists tell",
    facts: [],
    lmstack: "the proof sends a prompt that almost fills the declared context, and `up` fails when it is refused",
    shown: cutPrompts,
  },
  prefill: {
    trap: "an answer that has begun is refused, gone on with, or dropped",
    facts: [],
    lmstack: "asks again without the prefill, and remembers it of that model",
    shown: ["unit/proxy/wishes.test.ts", "answers all the same, and is not asked with one again"],
  },
  thinkTagsLeak: {
    trap: "thoughts come as text, between tags",
    facts: ["LMS-275"],
    lmstack: "cuts them out and counts them",
    shown: leak,
  },
  reasoningNotRecognised: {
    trap: "a model is not recognised as one that can be told not to think",
    facts: ["LMS-267", "LMS-272"],
    lmstack: "cuts the thoughts out, and asks in another way",
    shown: leak,
  },
  messagesThinkingOff: {
    trap: "`/v1/messages` may not honour its switch",
    facts: [],
    lmstack: "learns from an answer that thought, and cuts it out",
    shown: anotherWay,
  },
  chatEffort: {
    trap: "`reasoning_effort` on chat is ignored",
    facts: ["LMS-277"],
    lmstack: "learns from an answer that thought, and prefills",
    shown: anotherWay,
  },
  messagesEndpoint: {
    trap: "there is no `/v1/messages`",
    facts: ["LMS-278"],
    lmstack: "an error with status 200 gets the status that it should have had",
    shown: [
      "unit/proxy/errors.test.ts",
      "an error that LM Studio sends with status 200 gets the status it should have had",
    ],
  },
  unknownPathStatus: {
    trap: "an unknown path is answered 200",
    facts: ["LMS-201", "LMS-202"],
    lmstack: "the proxy answers with the right status",
    shown: [
      "container/errors.test.ts",
      "an error that LM Studio sends with status 200 has the right one behind the proxy",
    ],
  },
  toolTypes: {
    trap: "most types of tools are refused",
    facts: ["LMS-249", "LMS-251"],
    lmstack: "makes them functions and back, and names what is left out",
    shown: strict,
  },
  toolTypeRefusal: {
    trap: "they are refused in different words",
    facts: ["LMS-252"],
    lmstack: "sends none that could be refused",
    shown: strict,
  },
  toolChoiceObjects: {
    trap: "a choice of one tool is refused",
    facts: [],
    lmstack: "tells of that one tool only",
    shown: [tools, "forces one tool by telling of no other"],
  },
  inputItemTypes: {
    trap: "items of most types are refused",
    facts: ["LMS-255"],
    lmstack: "tells them as calls, outputs and text",
    shown: [items, "an item of an unknown type is told as text, without what nobody can read"],
  },
  outputParts: {
    trap: "an output has to be a string",
    facts: [],
    lmstack: "makes text of a list, and puts images behind",
    shown: [items, "an output that is a list becomes text; its images follow behind the last output, in a message"],
  },
  refusedFields: {
    trap: "fields may be refused",
    facts: [],
    lmstack: "leaves out what LM Studio has no use for",
    shown: [translate, "are removed, and named"],
  },
  bareUsage: {
    trap: "counts of tokens are incomplete",
    facts: [],
    lmstack: "makes them good where Codex needs them",
    shown: [
      "unit/proxy/codex/answer/gaps.test.ts",
      "token counts that Codex could not read are made good, or left out",
    ],
  },
  singleSystemMessage: {
    trap: "more than one system message fails",
    facts: [],
    lmstack: "joins them, in order",
    shown: [translate, "joins system and developer messages, in order, behind the instructions"],
  },
  cancelOnDisconnect: {
    trap: "a generation ends only when its connection closes",
    facts: ["LMS-235"],
    lmstack: "closes its own as soon as the client's closes",
    shown: ["unit/proxy/relay.test.ts", "cancels the request to LM Studio at once"],
  },
};

export const survivalFile = join(projectRoot, "docs", "survival.md");

const cell = (text: string): string => text.replaceAll("|", "\\|");

function row([name, { trap, facts: ids, lmstack, shown }]: [string, Survival]): string {
  const sources = ids.map((id) => facts.find((fact) => fact.id === id)?.source ?? "").filter(Boolean);
  const source = [...new Set(sources)].join("; ") || "none: it is possible";
  const [file, test] = shown;
  return `| ${[`\`${name}\``, trap, ids.join(", "), source, lmstack, `\`test/${file}\`: ${test}`].map(cell).join(" | ")} |`;
}

export const survivalTable = (): string => `# What LM Studio does to its users, and what lmstack makes of it

Written by \`npm run facts\` from \`test/conformance/survival.ts\`; do not edit. Each row is a trap of the stand-in (\`test/lmstudio-sim/traps.ts\`), the facts
that it plays (docs/facts.md) with their sources, and the test that shows a host, or a client behind the proxy, survive it.

| trap | LM Studio | facts | source | lmstack | shown by |
|---|---|---|---|---|---|
${Object.entries(survival).map(row).join("\n")}
`;
