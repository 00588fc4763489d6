/** Writes the JSON Schemas that editors use: `npm run schema` after a change to `host-spec.ts` or `infra/fleet/inventory.ts`. */
import { writeFileSync } from "node:fs";
import { fleetJsonSchema } from "../fleet/inventory.ts";
import { hostJsonSchema } from "./parse.ts";

export const schemaTexts = (): Readonly<Record<string, string>> => ({
  "host-spec.schema.json": textOf(hostJsonSchema()),
  "../fleet/fleet.schema.json": textOf(fleetJsonSchema()),
});

const textOf = (schema: object) => `${JSON.stringify(schema, null, 2)}\n`;

if (import.meta.main)
  for (const [file, text] of Object.entries(schemaTexts())) writeFileSync(new URL(file, import.meta.url), text);
