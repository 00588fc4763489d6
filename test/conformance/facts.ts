/** Everything that is known of LM Studio and can be asked, in the order of its numbers. */
import type { Fact } from "./fact.ts";
import { commandLine } from "./facts/command-line.ts";
import { daemonAndServer } from "./facts/daemon-and-server.ts";
import { enginesAndLogs } from "./facts/engines-and-logs.ts";
import { http } from "./facts/http.ts";
import { importAndFiles } from "./facts/import-and-files.ts";
import { models } from "./facts/models.ts";
import { responsesAndThinking } from "./facts/responses-and-thinking.ts";

export const facts: readonly Fact[] = [
  ...commandLine,
  ...daemonAndServer,
  ...models,
  ...importAndFiles,
  ...enginesAndLogs,
  ...http,
  ...responsesAndThinking,
];
