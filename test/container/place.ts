/** What most tests here stand on: the image, LM Studio's stand-in, and a proxy with keys in front of it. */
import type { ProxyConfigInput } from "../../infra/spec/proxy-config.ts";
import { type SimServer, startSimServer } from "../lmstudio-sim/index.ts";
import { scopedModel } from "./keys.ts";
import { type ProxyContainer, startProxyContainer } from "./proxy-container.ts";
import { ensureProxyImage } from "./proxy-image.ts";
import { prepareReaper, removeLeftovers } from "./reaper.ts";

export const model = "sim-thinker";

export interface Place extends AsyncDisposable {
  readonly image: string;
  readonly sim: SimServer;
  readonly proxy: ProxyContainer;
}

/** Containers may be started from here on; `removeLeftovers` ends it. */
export async function prepareImage(): Promise<string> {
  await prepareReaper();
  return await ensureProxyImage();
}

export async function startPlace(changes: Partial<ProxyConfigInput> = {}): Promise<Place> {
  const image = await prepareImage();
  const sim = await startSimServer({ host: "0.0.0.0", models: [{ id: model }, { id: scopedModel }] });
  const models = { [model]: { thinking: "off" }, [scopedModel]: { thinking: "off" } } as const;
  const proxy = await startProxyContainer(image, sim.port, { models, ...changes });
  return {
    image,
    sim,
    proxy,
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await sim.close();
      await removeLeftovers();
    },
  };
}
