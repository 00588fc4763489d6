/** A server of the stand-in for the tests of a file, with a model that thinks and one that is not loaded, and questions to it. */
import { createParser } from "eventsource-parser";
import { afterAll, beforeAll } from "vitest";
import { type SimServer, startSimServer } from "../../lmstudio-sim/index.ts";
import type { JournalEntry } from "../../lmstudio-sim/journal.ts";

interface Served {
  get(path: string): Promise<Response>;
  post(path: string, body: unknown): Promise<Response>;
  journal(): JournalEntry[];
}

export function served(): Served {
  let sim: SimServer;
  beforeAll(async () => {
    sim = await startSimServer({
      models: [
        { id: "Thinker", thinkTokens: 3, tokenMs: 0 },
        { id: "Idle", loaded: false, tokenMs: 0 },
      ],
    });
  });
  afterAll(() => sim.close());
  return {
    get: (path) => fetch(`${sim.url}${path}`),
    post: (path, body) =>
      fetch(`${sim.url}${path}`, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) }),
    journal: () => sim.journal(),
  };
}

export const events = async (
  response: Response,
): Promise<{ event: string | undefined; data: Record<string, unknown> }[]> => {
  const found: { event: string | undefined; data: Record<string, unknown> }[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) =>
      void (data === "[DONE]" || found.push({ event, data: JSON.parse(data) as Record<string, unknown> })),
  });
  parser.feed(await response.text());
  return found;
};

export const shell = { type: "function", name: "exec_command", parameters: { type: "object", properties: {} } };
export const off = { reasoning: { effort: "none" } };
