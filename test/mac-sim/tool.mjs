// A command of the stand-in's Mac: `tool.mjs SOCKET NAME WORDS…` asks the test that plays the Mac, prints and exits as it says. Few imports: it is
// started a hundred times.
import { connect } from "node:net";

const [socket, ...words] = process.argv.slice(2);
let reply = "";
connect(socket)
  .setEncoding("utf8")
  .on("data", (chunk) => {
    reply += chunk;
  })
  .on("end", () => {
    const { code, stdout, stderr } = JSON.parse(reply);
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    process.exitCode = code;
  })
  .end(JSON.stringify(words));
