/** `npm run demo`: a real `pulumi up` on a test host, and everything that it promises, shown. */
import { parseArgs } from "node:util";
import { demo, takeDown } from "./demo.ts";

const usage = `npm run demo -- [--json] [--down]

Deploys to a test host that it starts itself (a container with systemd, sshd and Docker), and shows the result at work:
real tokens from a real GGUF, a thinking model that does not think, the real Codex CLI. LM Studio itself is stood in for.
What it made stays, to be looked at; another run takes it up again.

  --json  the result as data on stdout; progress goes to stderr as always
  --down  remove everything that the demo made
  --help  this text
`;

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    down: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

try {
  if (values.help) process.stdout.write(usage);
  else if (values.down) await takeDown();
  else await demo({ json: values.json });
} catch (error) {
  process.stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.stderr.write("Run it again to go on from here, or start over with: npm run demo -- --down && npm run demo\n");
  process.exitCode = 1;
}
