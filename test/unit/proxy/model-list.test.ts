/** `/v1/models` as Codex reads it. */
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import type { ProxyConfigInput } from "../../../infra/spec/proxy-config.ts";
import { send, startTestProxy, startUpstream } from "./harness.ts";

interface Listing {
  readonly data: { id: string }[];
  readonly models: {
    slug: string;
    context_window: number;
    input_modalities: string[];
    apply_patch_tool_type?: string;
  }[];
}

const instance = (id: string, context_length: number) => ({ id, config: { context_length, parallel: 2 } });
const native = {
  models: [
    { type: "llm", loaded_instances: [instance("sees", 32_768)], capabilities: { vision: true } },
    { type: "llm", loaded_instances: [instance("undeclared", 8_192)], capabilities: {} },
    { type: "embedding", loaded_instances: [instance("vectors", 2_048)], capabilities: {} },
    { type: "llm", key: "on-disk", loaded_instances: [], capabilities: {} },
  ],
};
const data = ["sees", "undeclared", "vectors", "on-disk", "text-embedding-x"].map((id) => ({ id, object: "model" }));

async function list(config: Partial<ProxyConfigInput>, path = "/v1/models", answersNative = true): Promise<Listing> {
  await using upstream = await startUpstream(
    (response) =>
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ object: "list", data })),
    answersNative ? native : undefined,
  );
  const models = {
    sees: { thinking: "off", contextLength: 200_000 },
    loading: { thinking: "off", contextLength: 65_536 },
  } as const;
  await using proxy = await startTestProxy({ upstream: upstream.url, models, ...config });
  return JSON.parse((await send(proxy.port, path, { headers: { authorization: "Bearer sk-mine" } })).text) as Listing;
}
const slugs = ({ models }: Listing) => models.map(({ slug }) => slug).filter((slug) => !slug.includes(":"));

it("has Codex's entries for what is loaded or declared, with the window that is really loaded", async () => {
  const listing = await list({}, "/v1/models?client_version=0.169.0");
  expect(slugs(listing)).toEqual(["sees", "loading", "undeclared"]);
  expect(listing.models.map(({ context_window }) => context_window)).toEqual([
    ...Array(3).fill(32_768),
    ...Array(3).fill(65_536),
    ...Array(3).fill(8_192),
  ]);
  expect(listing.models[0]).toMatchObject({ input_modalities: ["text", "image"], apply_patch_tool_type: "freeform" });
  expect(listing.models[3]).toMatchObject({ slug: "loading", input_modalities: ["text"] });
  expect(listing.data.map(({ id }) => id)).toContain("sees:no-think");
  expect(listing.data.map(({ id }) => id)).not.toContain("vectors:think");
});

it("takes the declared window where LM Studio does not tell", async () => {
  const listing = await list({}, "/v1/models", false);
  expect(listing.models.filter(({ slug }) => slug === "sees")).toMatchObject([{ context_window: 200_000 }]);
});

it("shows a key its own models only", async () => {
  const sha256 = createHash("sha256").update("sk-mine").digest("hex");
  expect(slugs(await list({ keys: [{ id: "mine", sha256, models: ["loading"] }] }))).toEqual(["loading"]);
});

it("offers no apply_patch where tools are passed as they are", async () => {
  expect((await list({ codexTools: "pass" })).models[0]).not.toHaveProperty("apply_patch_tool_type");
});
