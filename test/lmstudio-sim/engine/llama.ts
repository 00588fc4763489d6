/** Real tokens from a real GGUF, with llama.cpp in the daemon's own process. */
import type { ChatHistoryItem, Llama, LlamaContextSequence, LlamaModel } from "node-llama-cpp";
import type { Engine, Generation, LoadOptions, Message, Piece, Session } from "./engine.ts";
import { PieceQueue } from "./queue.ts";

/** Without an explicit number the library takes every core it believes in, which is 250 times slower on a small machine. */
const threads = 2;
/** Memory, not the model, sets this bound: the stand-in runs on small hosts. */
const mostContext = 8192;
const mostSequences = 4;

let engine: Promise<Llama> | undefined;

async function llama(): Promise<Llama> {
  // Loaded on first use: hosts that only play scripts do not carry the library.
  engine ??= import("node-llama-cpp").then(({ getLlama, LlamaLogLevel }) =>
    getLlama({ gpu: false, build: "never", maxThreads: threads, logLevel: LlamaLogLevel.error }),
  );
  return await engine;
}

export const llamaEngine: Engine = {
  async load(model, options): Promise<Session> {
    const loaded = await (await llama()).loadModel({ modelPath: model.file });
    return await open(loaded, options);
  },
};

async function open(model: LlamaModel, options: LoadOptions): Promise<Session> {
  const contextSize = Math.min(options.contextLength, model.trainContextSize, mostContext);
  const sequences = Math.min(options.parallel, mostSequences);
  const context = await model.createContext({ contextSize, sequences, threads });
  const free = Array.from({ length: sequences }, () => context.getSequence());
  const waiting: ((sequence: LlamaContextSequence) => void)[] = [];
  const take = async (): Promise<LlamaContextSequence> =>
    free.pop() ?? (await new Promise((resolve) => waiting.push(resolve)));
  const give = (sequence: LlamaContextSequence): void => {
    const next = waiting.shift();
    if (next === undefined) free.push(sequence);
    else next(sequence);
  };
  return {
    countTokens: (messages) => messages.reduce((sum, message) => sum + model.tokenize(message.text).length + 4, 0),
    async *generate(request) {
      const sequence = await take();
      try {
        yield* talk(sequence, request);
      } finally {
        give(sequence);
      }
    },
    close: async () => {
      await context.dispose();
      await model.dispose();
    },
  };
}

async function* talk(sequence: LlamaContextSequence, request: Generation): AsyncGenerator<Piece> {
  const { LlamaChatSession } = await import("node-llama-cpp");
  const session = new LlamaChatSession({ contextSequence: sequence });
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  request.signal.addEventListener("abort", abort, { once: true });
  const queue = new PieceQueue();
  const { history, prompt, prefix } = toHistory(request.messages);
  session.setChatHistory(history);
  const done = session
    .prompt(prompt, {
      onTextChunk: (text) => queue.push({ kind: "text", text }),
      temperature: request.temperature ?? 0,
      signal: stop.signal,
      stopOnAbortSignal: true,
      ...(request.maxTokens === null ? {} : { maxTokens: request.maxTokens }),
      ...(prefix === "" ? {} : { responsePrefix: prefix }),
    })
    .then(
      () => queue.end(),
      (error: unknown) => queue.end(stop.signal.aborted ? undefined : error),
    );
  try {
    yield* queue;
  } finally {
    // A reader that stops early stops the model too; the sequence is free only when it has.
    abort();
    await done;
    session.dispose({ disposeSequence: false });
    request.signal.removeEventListener("abort", abort);
  }
}

/** The last words of the user become the prompt; what the assistant is said to have begun becomes its prefix. */
function toHistory(messages: readonly Message[]): { history: ChatHistoryItem[]; prompt: string; prefix: string } {
  const last = messages.at(-1);
  const prefix = last?.role === "assistant" ? last.text : "";
  const rest = prefix === "" ? messages : messages.slice(0, -1);
  const history = rest.slice(0, -1).map((message): ChatHistoryItem => {
    if (message.role === "assistant") return { type: "model", response: [message.text] };
    return { type: message.role === "system" ? "system" : "user", text: message.text };
  });
  return { history, prompt: rest.at(-1)?.text ?? "", prefix };
}
