export { writeScriptModel } from "./gguf/script-model.ts";
export { installInto } from "./install.ts";
export { type JournalEntry, readJournal } from "./journal.ts";
export { type SimModel, type SimServer, type SimServerOptions, startSimServer } from "./sim-server.ts";
export { defaultTraps, type Traps } from "./traps.ts";
