/** A server with a limited speed in a thread of its own; its address is the first message. */
import { parentPort, workerData } from "node:worker_threads";
import { BadServer, type BadServerOptions } from "./bad-server.ts";
import type { Content } from "./content.ts";

const { content, options } = workerData as { content: Content; options: BadServerOptions };
const server = await BadServer.start(content, options);
parentPort?.postMessage(server.url);
