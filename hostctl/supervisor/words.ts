/** An action of the supervisor in words for its log and its journal. Pure. */
import { type Action, engineId } from "./decide.ts";

export function wordsOf(action: Action): { readonly what: string; readonly why: string } {
  switch (action.do) {
    case "start-daemon":
      return { what: "starting LM Studio's daemon", why: "it was not running" };
    case "end-daemon":
      return { what: `ending the daemon of pid ${action.pid}`, why: action.because };
    case "select-engine":
      return { what: `checking the engine ${engineId(action.engine)}`, why: "it is declared and was not proved yet" };
    case "stop-server":
      return { what: "stopping LM Studio's server", why: action.because };
    case "start-server":
      return { what: "starting LM Studio's server", why: "it did not answer on the declared port" };
    case "unload":
      return { what: `unloading ${action.identifier}`, why: action.because };
    case "swap":
      return { what: `changing ${action.model.identifier}`, why: action.because };
    case "load":
      return { what: `loading ${action.model.identifier}`, why: "it is declared and was not loaded" };
  }
}
