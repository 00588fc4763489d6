/** Writes the JSON Schema that editors use: `npm run schema` after a change to `host-spec.ts`. */
import { writeFileSync } from "node:fs";
import { hostJsonSchema } from "./parse.ts";

export const schemaText = (): string => `${JSON.stringify(hostJsonSchema(), null, 2)}\n`;

if (import.meta.main) writeFileSync(new URL("host-spec.schema.json", import.meta.url), schemaText());
