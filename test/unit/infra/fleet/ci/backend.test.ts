/** A job of CI never deploys with a state that goes with its machine. */
import { homedir } from "node:os";
import { expect, it, test } from "vitest";
import { backendRefusal, runnerOf } from "../../../../../infra/fleet/ci/backend.ts";

const hosted = runnerOf({ RUNNER_ENVIRONMENT: "github-hosted" }, "/checkout/fleet");
const own = runnerOf({ RUNNER_ENVIRONMENT: "self-hosted", RUNNER_TEMP: "/scratch/job" }, "/checkout/fleet");

it.each([
  ["file:///checkout/fleet", own],
  ["file:///checkout/fleet/.lmstack/state?no_tmp_dir=true", own],
  ["file:///scratch/job/state", own],
  ["file:///srv/state", hosted],
  ["file://~", hosted],
  ["file://~", runnerOf({}, homedir())],
])("%s is refused with what to set instead", (url, runner) => {
  expect(backendRefusal(url, runner)).toMatch(
    /^state lies in file:.*expected a place that outlives.*Next: set the secret PULUMI_BACKEND_URL/,
  );
});

it.each([
  ["file:///srv/state", own],
  ["file:///checkout/fleet-state", own],
  ["file://~", own],
  ["s3://states", hosted],
  ["https://api.pulumi.com/team", hosted],
])("%s is taken", (url, runner) => {
  expect(backendRefusal(url, runner)).toBeNull();
});

test("folders that are not set are none", () => {
  expect(runnerOf({ RUNNER_TEMP: "" }, "/here").passing).toEqual(["/here"]);
});
