/** `npm run badspec -- --json FILE`: every wrong spec is refused in words by a real `pulumi up`, with the host untouched. */
import { parseArgs } from "node:util";
import { openStack, startBox } from "./box.ts";
import { Refusals } from "./refusal.ts";
import { type Row, report } from "./rows.ts";
import { manyFaults, wrongSpecs } from "./wrong-specs.ts";

const { values } = parseArgs({
  options: { json: { type: "string" }, help: { type: "boolean", short: "h", default: false } },
});

if (values.help) {
  console.log(`Gives a test host every wrong spec of the table and looks at what \`pulumi up\` says, and at the host.

  npm run badspec -- [--json FILE]`);
} else {
  process.exitCode = await main(values.json);
}

async function main(json: string | undefined): Promise<number> {
  const say = (line: string) => console.error(line);
  const box = await startBox({ name: "badspec", onProgress: say });
  const stack = await openStack("e2e-badspec", box);
  try {
    const rows: Row[] = [];
    const refusals = new Refusals(box, stack);
    for (const wrong of [...wrongSpecs, manyFaults]) {
      const row = await refusals.refuse(wrong);
      say(`${row.ok ? "ok" : "NO"}  ${wrong.name}${row.ok ? "" : `: ${row.value}`}`);
      rows.push(row);
    }
    return await report(rows, json);
  } finally {
    await stack.forget();
    await box.host.remove();
  }
}
