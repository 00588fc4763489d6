/**
 * Every way in which LM Studio surprises its users, by name. The defaults are the documented behaviour; a test switches one trap and
 * shows that the product survives it. On an installed stand-in they are read anew for each act from `.internal/sim-traps.json`, so a
 * test can spring a trap on a running daemon.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Traps {
  /** How long every `lms` call takes at least, in ms: the real one starts a runtime of its own (300 to 500 ms). */
  lmsDelayMs: number;
  /** Extra time that every load takes, in ms. */
  loadMs: number;
  /** Every load fails with this text. */
  loadFails: string | null;
  /** Time between `daemon down` returning and the daemon's exit, in ms. */
  downExitMs: number;
  /** Time that the daemon needs before it answers, in ms. */
  daemonStartMs: number;
  /** Poll interval of `lms` while it wakes the daemon (60 tries), in ms. The real one polls every second. */
  wakePollMs: number;
  /** Interval of the five greeting checks after `server start`, in ms. */
  verifyIntervalMs: number;
  /** `server start` says that it failed although the server runs (bug tracker 1720). */
  serverVerifyFails: boolean;
  /** `server start --bind` is not honoured: it listens on loopback. */
  bindIgnored: boolean;
  /** For this long after the daemon's start, `runtime` commands and loads fail with "Text file busy", in ms. */
  textFileBusyMs: number;
  /** A fresh install has the CPU engine selected although a CUDA engine is there. */
  cpuEngineSelected: boolean;
  /** The daemon belongs to the GUI application: `daemon down` refuses, `isDaemon` is false. */
  ownedByGui: boolean;
  /** Bootstrap leaves `.internal/temp` out, so that loads fail; "auto" is the documented 0.0.25. */
  tempFolderMissing: boolean | "auto";
  /** `justInTimeModelLoading: false` has no effect. */
  jitSettingIgnored: boolean;
  /** What a trailing assistant message does on a model that would think. */
  prefill: "refused" | "honoured" | "ignored";
  /** Thinking arrives as `<think>` text even when it should be separate. */
  thinkTagsLeak: boolean;
  /** A sideloaded model is not recognised as a reasoning one: requests cannot switch thinking off, only the model's default can. */
  reasoningNotRecognised: boolean;
  /** `/v1/messages` honours `thinking: {type: "disabled"}`. Not verified on the real one. */
  messagesThinkingOff: boolean;
  /** Tool types that `/v1/responses` and chat accept; any other is a 400. */
  toolTypes: readonly string[];
  /** Types of `/v1/responses` input items that are taken; any other is a 400. Replay of `custom_tool_call` and `reasoning` is not verified on the real one. */
  inputItemTypes: readonly string[];
  /** A tool's output may be a list of parts; else it has to be a string (bug tracker 1077). */
  outputParts: boolean;
  /** `tool_choice` may be an object; else it has to be none, auto or required (bug tracker 670). */
  toolChoiceObjects: boolean;
  /** A prompt of more tokens is cut in its middle without a word, as a context overflow policy does it. Not seen of the server. Null: it is refused. */
  promptCutAt: number | null;
  /** Tokens that a prompt may really have, whatever context the lists tell: slots that share it (opencode #2259). Null: all of the context. */
  tokensPerSlot: number | null;
  /** Top-level fields of `/v1/responses` that are a 400. No report says that the real one refuses any. */
  refusedFields: readonly string[];
  /** `usage` as bare as other engines send it: no total, and details without figures. */
  bareUsage: boolean;
  /** More than one system or developer message is a 500. */
  singleSystemMessage: boolean;
  /** Answer status of an unknown path: 200 as documented. */
  unknownPathStatus: number;
  /** A client that goes away stops the generation. */
  cancelOnDisconnect: boolean;
  /** The whole process dies after it has sent this many tokens of an answer. */
  crashAfterTokens: number | null;
  /** The whole process dies when it is asked for the Nth time. */
  crashAfterRequests: number | null;
  /** Connections are taken and nothing is answered; "once": by the server that runs, not by one that is started after it. */
  serverHangs: boolean | "once";
  /** `server start` starts nothing. */
  serverDoesNotListen: boolean;
  /** The whole process dies as soon as it has started. */
  crashAtStart: boolean;
  /** Memory of the GPU: a load that does not fit beside what is loaded fails. Null: there is always room. */
  gpuMemoryBytes: number | null;
  /** Pace at which a model's file is read by a load, on top of `loadMs`. Null: at once. */
  loadBytesPerSecond: number | null;
  /** Where `autoUpdateExtensionPacks` is on, a start of the daemon brings newer engines and selects one (bug tracker 2234). */
  engineUpdatesItself: boolean;
  /** A Linux without libatomic.so.1, which updates look for. */
  libatomicMissing: boolean;
  /** `reasoning_effort` counts on chat. */
  chatEffort: boolean;
  /** There is `/v1/messages`. */
  messagesEndpoint: boolean;
  /** How a wrong type of tool is refused. */
  toolTypeRefusal: "invalid" | "discriminator";
  /** A model that can think does, whatever a request or its defaults say: how thinking comes back with another version. */
  thinksAnyway: boolean;
  /** Traps of some versions of llmster only, by `0.0.26-1`. */
  byVersion: Readonly<Record<string, Partial<Traps>>>;
}

export const defaultTraps: Traps = {
  lmsDelayMs: 350,
  loadMs: 0,
  loadFails: null,
  downExitMs: 250,
  daemonStartMs: 0,
  wakePollMs: 100,
  verifyIntervalMs: 1000,
  serverVerifyFails: false,
  bindIgnored: false,
  textFileBusyMs: 0,
  cpuEngineSelected: true,
  ownedByGui: false,
  tempFolderMissing: "auto",
  jitSettingIgnored: false,
  prefill: "refused",
  thinkTagsLeak: false,
  reasoningNotRecognised: false,
  messagesThinkingOff: true,
  toolTypes: ["function", "mcp"],
  inputItemTypes: ["message", "function_call", "function_call_output"],
  outputParts: false,
  toolChoiceObjects: false,
  promptCutAt: null,
  tokensPerSlot: null,
  refusedFields: [],
  bareUsage: false,
  singleSystemMessage: true,
  unknownPathStatus: 200,
  cancelOnDisconnect: true,
  crashAfterTokens: null,
  crashAfterRequests: null,
  serverHangs: false,
  serverDoesNotListen: false,
  crashAtStart: false,
  gpuMemoryBytes: null,
  loadBytesPerSecond: null,
  engineUpdatesItself: false,
  libatomicMissing: false,
  chatEffort: true,
  messagesEndpoint: true,
  toolTypeRefusal: "invalid",
  thinksAnyway: false,
  byVersion: {},
};

/** What is known of old versions. llmster 0.0.N is the application's 0.4.N, as far as anybody can tell. */
function documentedFor(version: string): Partial<Traps> {
  const patch = Number(/^0\.0\.(\d+)/.exec(version)?.[1] ?? Number.MAX_SAFE_INTEGER);
  return {
    // 0.4.1 brought /v1/messages, 0.4.8 reasoning_effort on chat; tool types were told apart by a union up to 0.4.0 (bug tracker 1383).
    ...(patch < 1 ? { messagesEndpoint: false, toolTypeRefusal: "discriminator" as const } : {}),
    ...(patch < 8 ? { chatEffort: false } : {}),
  };
}

export const trapsFile = (lmstudioHome: string): string => join(lmstudioHome, ".internal", "sim-traps.json");

/** Traps of an installed stand-in: its file over what its version does. A missing file is no trap changed. */
export function readTraps(lmstudioHome: string, version = ""): Traps {
  let text = "{}";
  try {
    text = readFileSync(trapsFile(lmstudioHome), "utf8");
  } catch {
    // None was sprung.
  }
  const sprung = JSON.parse(text) as Partial<Traps>;
  return { ...defaultTraps, ...documentedFor(version), ...sprung, ...sprung.byVersion?.[version] };
}
