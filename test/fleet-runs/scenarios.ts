/** What `npm run fleet` can play. */
import { badModels } from "./bad-model.ts";
import { ci } from "./ci.ts";
import { gateway } from "./gateway.ts";
import { goodRollout } from "./good-rollout.ts";
import { killedRunner, machineGone } from "./killed-runner.ts";
import type { Scenario } from "./scenario.ts";
import { secrets } from "./secrets.ts";

export const scenarios: Readonly<Record<string, Scenario>> = {
  rollout: goodRollout,
  ...badModels,
  "killed-runner": killedRunner,
  "machine-gone": machineGone,
  ci,
  gateway,
  secrets,
};
