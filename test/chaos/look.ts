/** Takes the snapshot that the judge needs: one command on the host, and a question to each model. */
import { modelOfInstance } from "../../infra/spec/model-names.ts";
import { type Snapshot, wrongIn } from "./judge.ts";
import { ask, rightAnswer } from "./load.ts";
import { models, type Place } from "./place.ts";

/** Seconds that a call of hostctl or `lms` may take before it counts as left behind; loads take no longer here. */
const longestCall = 45;

/** One JSON document a line, in this order; the last two may be empty. A process that is stopped is as good as none. */
const script = (stack: string) => `
list() { echo "[$(pgrep -r D,R,S "$@" | paste -sd, || true)]"; }
list -x llmster
list -f '^[^ ]*/node .*hostctl.mjs supervise'
list -f '^[^ ]*node .*/app/proxy.mjs'
ps -eo etimes=,args= | awk '$1 > ${longestCall} && (/\\/lms\\.mjs / || (/hostctl\\.mjs / && !/ supervise/)) { $1 = ""; print }' | python3 -c 'import json, sys; print(json.dumps([line.strip() for line in sys.stdin]))'
docker ps -a --filter label=dev.lmstack.stack=${stack} --format '{{.State}}' | python3 -c 'import json, sys; print(json.dumps(sys.stdin.read().split()))'
curl -s -m 3 http://127.0.0.1:8081/api/v1/models | tr -d '\\n'; echo
tr -d '\\n' < ~/.lmstack/run/status.json; echo`;

interface Listed {
  readonly models?: readonly {
    readonly loaded_instances: readonly { readonly id: string; readonly config: { readonly context_length: number } }[];
  }[];
}

/** Questions are put only to models that are loaded: others would be waited for. */
export async function look({ box, stack, baseUrl, key }: Place, asking: boolean): Promise<Snapshot> {
  const { stdout } = await box.host.exec(script(stack.name), { reject: false });
  const [daemons, supervisors, proxies, leftBehind, containers, listed, report] = stdout.split("\n").map(parsed);
  const instances = (listed as Listed | null)?.models?.flatMap(({ loaded_instances }) =>
    loaded_instances.map(({ id, config }) => `${modelOfInstance(id)}@${config.context_length}`),
  );
  const snapshot = {
    daemons: (daemons ?? []) as number[],
    supervisors: (supervisors ?? []) as number[],
    proxies: (proxies ?? []) as number[],
    leftBehind: (leftBehind ?? []) as string[],
    containers: (containers ?? []) as string[],
    instances: instances ?? null,
    report: (report ?? null) as Snapshot["report"],
  };
  const unproved: Record<string, string> = {};
  if (asking)
    for (const model of models.filter((name) => instances?.some((one) => one.startsWith(`${name}@`)))) {
      const why = await proof({ baseUrl, key }, model);
      if (why !== null) unproved[model] = why;
    }
  return { ...snapshot, unproved };
}

/** Null when the model answers rightly and without a thought. */
export async function proof(target: Pick<Place, "baseUrl" | "key">, model: string): Promise<string | null> {
  const reply = await ask(target, model, "responses", { signal: AbortSignal.timeout(10_000) });
  return reply.end === "complete" ? wrongIn(reply, rightAnswer, false) : `${reply.status} ${reply.words}`;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
