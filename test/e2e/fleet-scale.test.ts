/** The scale run in short: what it measures means something only if runner and engine are the real ones and every host comes to its model. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { models } from "../fleet-scale/fleet.ts";
import { StandInHosts } from "../fleet-scale/hosts.ts";
import { ScaleFleet } from "../fleet-scale/scale-fleet.ts";

test("a rollout through the real engine brings a model to every host, asks none for what hosts do not know, and leaves in each stack by what it is known", async () => {
  const folder = await mkdtemp(join(tmpdir(), "fleet-scale-"));
  try {
    await using hosts = await StandInHosts.start(models);
    await using fleet = new ScaleFleet(hosts, folder, pathToFileURL(folder).href);
    await fleet.grow(2);
    await fleet.rollOut(models[0], console.error);
    expect(hosts.faults).toEqual([]);
    // Otherwise the next rollout would start a program for each host, to ask what it had.
    const { journal, stacks } = await fleet.digests();
    expect(stacks).toEqual(journal);
    expect(fleet.places.map((place) => hosts.loadedOn(place))).toEqual([[models[0]], [models[0]]]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
