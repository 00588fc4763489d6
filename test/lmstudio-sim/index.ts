export { buildInstaller } from "./build.ts";
export { writeScriptModel } from "./gguf/script-model.ts";
export { installInto } from "./install.ts";
export { type JournalEntry, readJournal } from "./journal.ts";
export { type SimModel, type SimServer, type SimServerOptions, startSimServer } from "./sim-server.ts";
export { fetchSmolLm, smollmSha256 } from "./smollm.ts";
export { defaultTraps, type Traps } from "./traps.ts";
