/** What an inference engine is to the daemon: it loads a file and turns a conversation into pieces, one per token. */
import type { DownloadedModel } from "../model.ts";

export interface Message {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly text: string;
  /** It holds at least one. */
  readonly image?: boolean;
}

export interface Tool {
  readonly name: string;
}

export interface Generation {
  readonly messages: readonly Message[];
  readonly tools: readonly Tool[];
  /** "auto", "none", "required", or the name of one tool. */
  readonly toolChoice: string;
  readonly thinks: boolean;
  readonly maxTokens: number | null;
  readonly temperature: number | null;
  readonly signal: AbortSignal;
}

export type Piece =
  | { readonly kind: "reasoning"; readonly text: string }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "tool"; readonly name: string; readonly arguments: string };

export interface Session {
  countTokens(messages: readonly Message[]): number;
  /** Ends early without a word when the signal aborts. */
  generate(request: Generation): AsyncIterable<Piece>;
  close(): Promise<void>;
}

export interface LoadOptions {
  readonly contextLength: number;
  readonly parallel: number;
}

export interface Engine {
  load(model: DownloadedModel, options: LoadOptions): Promise<Session>;
}
