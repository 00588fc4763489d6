/** The planner over a large fleet, in a process of its own so that its memory can be told. Prints one JSON line. */
import { policySchema } from "../../infra/fleet/inventory.ts";
import { planRollout, type SeenHost } from "../../infra/fleet/plan.ts";
import { asked } from "./reading.ts";

const hosts = 1_000;
const models = Array.from({ length: 20 }, (_, index) => `model-${index}`);

const fleet = Array.from(
  { length: hosts },
  (_, index): SeenHost => ({
    ...{
      name: `host-${index}`,
      platform: index % 5 === 0 ? "macos-metal" : "linux-cuda",
      labels: { site: `${index % 9}` },
    },
    ...{
      groups: [`rack-${index % 40}`],
      declares: models,
      serves: models,
      available: true,
      reading: asked(index % 7),
      provedPaces: {},
    },
    ...{ steps: models.map((model) => ({ resource: `model-${model}` })), failed: null, refusal: null },
  }),
);
const policy = policySchema.parse({ canary: { site: "0" }, maxUnavailable: "10%", keepServing: 3 });

const started = performance.now();
const { waves } = planRollout(fleet, policy, Temporal.Now.instant());
const seconds = (performance.now() - started) / 1000;
const planned = waves.reduce((sum, wave) => sum + wave.hosts.length, 0);
console.log(JSON.stringify({ planned, seconds, megabytes: Math.round(process.resourceUsage().maxRSS / 1024) }));
