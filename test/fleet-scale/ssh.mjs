#!/usr/bin/env node
// Stands in for the `ssh` program: what should run on a host is told to the fleet of stand-in hosts, which is one process behind a socket.
// A host is known by the port in its ssh configuration.
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import process from "node:process";

const args = process.argv.slice(2);
// The operator's own identity, which no stand-in asks for.
if (args[0] === "-G") process.exit(0);

const config = readFileSync(args[args.indexOf("-F") + 1], "utf8");
const port = Number(/^\s*Port (\d+)$/m.exec(config)?.[1]);
const words = args.slice(args.indexOf("lmstack") + 1).filter((word) => word !== "--");

const socket = connect(process.env.FLEET_SCALE_SOCKET ?? "");
socket.write(`${JSON.stringify({ port, words: words.join(" ") })}\n`);
process.stdin.pipe(socket);
process.exitCode = 255;
let head = "";
// One line with the exit code, then what the host prints.
const onHead = (chunk) => {
  head += chunk.toString("latin1");
  const end = head.indexOf("\n");
  if (end < 0) return;
  process.exitCode = Number(head.slice(0, end));
  process.stdout.write(Buffer.from(head.slice(end + 1), "latin1"));
  socket.off("data", onHead);
  socket.pipe(process.stdout);
};
socket.on("data", onHead);
socket.on("error", (error) => console.error(`ssh stand-in: ${error.message}`));
socket.on("close", () => process.stdin.destroy());
