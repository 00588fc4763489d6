/** An action of the supervisor in words for its journal. Pure. */
import { type Action, engineId } from "./decide.ts";

export function wordsOf(action: Action): { readonly what: string; readonly why: string } {
  switch (action.do) {
    case "start-daemon":
      return { what: "started LM Studio's daemon", why: "it was not running" };
    case "select-engine":
      return { what: `checked the engine ${engineId(action.engine)}`, why: "it is declared and was not proved yet" };
    case "stop-server":
      return { what: "stopped LM Studio's server", why: "it listened on another port or address than declared" };
    case "start-server":
      return { what: "started LM Studio's server", why: "it did not answer on the declared port" };
    case "unload":
      return { what: `unloaded ${action.identifier}`, why: action.because };
    case "load":
      return { what: `loaded ${action.model.identifier}`, why: "it is declared and was not loaded" };
  }
}
