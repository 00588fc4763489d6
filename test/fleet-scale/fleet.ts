/** The fleet of stand-in hosts as a user declares it. */
import { exampleSpec, hostKey } from "../unit/infra/spec/example.ts";
import { type Place, user } from "./hosts.ts";

export const models = ["first-model", "second-model"] as const;
export type ModelName = (typeof models)[number];

const shared = (model: ModelName) => {
  const { lmstudio } = exampleSpec();
  return {
    platform: "linux-cuda",
    lmstudio,
    models: [
      { id: model, source: { path: `/models/${model}.gguf` }, sha256: "b".repeat(64), load: { contextLength: 32_768 } },
    ],
  };
};

const own = ({ port, sshPort }: Place) => ({
  connection: { host: "127.0.0.1", port: sshPort, user, hostKey },
  proxy: { bind: "127.0.0.1", port },
});

export const specOf = (place: Place, model: ModelName) => ({ ...shared(model), ...own(place) });

/** `fleet.yaml`, as data. */
export const fleetOf = (places: readonly Place[], model: ModelName) => ({
  profiles: { box: { spec: shared(model) } },
  hosts: Object.fromEntries(places.map((place) => [place.name, { profile: "box", spec: own(place) }])),
  rollout: { wave: "25%", maxUnavailable: "25%", bakeSeconds: 1 },
});
