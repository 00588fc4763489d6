/** Servers of homes that facts change, and a question to them. */
import type { Scratch } from "../scratch.ts";

/** With room for what a test asks. */
export async function served(scratch: Scratch): Promise<void> {
  await scratch.load("X", "-c", "8192");
  await scratch.serve();
}

/** Where both are loaded on demand by their keys. */
export async function servedKeys(scratch: Scratch): Promise<[string, string]> {
  await scratch.serve();
  return await scratch.keys();
}

/** A short question in chat. */
export const ask = (scratch: Scratch, model: string, more: Readonly<Record<string, unknown>> = {}) =>
  scratch.post("/v1/chat/completions", {
    model,
    messages: [{ role: "user", content: "Hello" }],
    max_tokens: 8,
    ...more,
  });
