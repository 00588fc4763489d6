/** Everything that is known of LM Studio and can be asked, in the order of its numbers. */
import type { Fact } from "./fact.ts";
import { commandLine } from "./facts/command-line.ts";
import { daemonAndServer } from "./facts/daemon-and-server.ts";
import { endpoints } from "./facts/endpoints.ts";
import { enginesAndLogs } from "./facts/engines-and-logs.ts";
import { getting } from "./facts/getting.ts";
import { home } from "./facts/home.ts";
import { importing } from "./facts/importing.ts";
import { installation } from "./facts/installation.ts";
import { interruptions } from "./facts/interruptions.ts";
import { listing } from "./facts/listing.ts";
import { loadChoice } from "./facts/load-choice.ts";
import { loading } from "./facts/loading.ts";
import { modelLists } from "./facts/model-lists.ts";
import { modelManagement } from "./facts/model-management.ts";
import { onDemand } from "./facts/on-demand.ts";
import { responses } from "./facts/responses.ts";
import { settings } from "./facts/settings.ts";
import { thinking } from "./facts/thinking.ts";
import { unloading } from "./facts/unloading.ts";
import { waking } from "./facts/waking.ts";
import { webSockets } from "./facts/web-sockets.ts";

export const facts: readonly Fact[] = [
  ...commandLine,
  ...home,
  ...waking,
  ...daemonAndServer,
  ...listing,
  ...loadChoice,
  ...loading,
  ...unloading,
  ...getting,
  ...importing,
  ...installation,
  ...settings,
  ...enginesAndLogs,
  ...endpoints,
  ...modelLists,
  ...onDemand,
  ...modelManagement,
  ...webSockets,
  ...interruptions,
  ...responses,
  ...thinking,
].sort((one, other) => (one.id < other.id ? -1 : 1));
