/** What people and accidents do to a host, and which resources may answer for it. */
import type { TestHost } from "../hosts/host.ts";
import { smollm } from "./box.ts";

export interface Drift {
  readonly name: string;
  readonly happen: (host: TestHost) => Promise<unknown>;
  /** Names of the resources that may change; nothing else may. */
  readonly touches: RegExp;
  /** What preview must say. */
  readonly says: RegExp;
}

const lms = "~/.lmstudio/bin/lms";

export const drifts: readonly Drift[] = [
  {
    name: "a model unloaded",
    happen: (host) => host.exec(`${lms} unload ${smollm}`),
    touches: new RegExp(`^model-${smollm}$`),
    says: new RegExp(`${smollm}.*(unloaded|not loaded)`, "s"),
  },
  {
    name: "a model loaded with another context length",
    happen: (host) =>
      host.exec(
        `${lms} unload ${smollm}; ${lms} load --exact local/${smollm}/${smollm}.gguf --identifier ${smollm} --context-length 1024 -y`,
        { reject: false },
      ),
    touches: new RegExp(`^model-${smollm}$`),
    says: new RegExp(smollm),
  },
  {
    name: "LM Studio's server stopped",
    happen: (host) => host.exec(`${lms} server stop`, { reject: false }),
    touches: /^(lmstudio|model-)/,
    says: /server/i,
  },
  {
    name: "the daemon killed",
    happen: (host) => host.exec("pkill -9 -f '[l]lmster'", { reject: false }),
    touches: /^(lmstudio|model-)/,
    says: /daemon|server/i,
  },
  {
    name: "the proxy's container removed",
    happen: (host) => host.exec("docker rm -f $(docker ps -q --filter label=dev.lmstack.stack)"),
    touches: /^(lmstack-)?proxy/,
    says: /proxy/i,
  },
  {
    name: "the service file edited",
    happen: (host) => host.exec("echo '# tuned' >> /etc/systemd/system/lmstack-supervisor.service", { root: true }),
    touches: /^lmstudio$/,
    says: /service file/,
  },
  {
    name: "a setting of LM Studio changed",
    happen: (host) =>
      host.exec(
        `python3 - <<'PY'
import json, os
path = os.path.expanduser("~/.lmstudio/.internal/http-server-config.json")
settings = json.load(open(path))
settings["logSensitiveData"] = True
json.dump(settings, open(path, "w"))
PY`,
      ),
    touches: /^lmstudio$/,
    says: /logSensitiveData/,
  },
];
