/** For tests in the same process: the server alone, or an installation in a scratch home. What hosts need is in `build.ts`, `gguf/script-model.ts` and `smollm.ts`. */
export { type SimServer, type SimServerOptions, startSimServer } from "./sim-server.ts";
