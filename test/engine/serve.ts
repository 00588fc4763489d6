// How a plugin of the engine lives: it listens on a port of its own, prints the port as its first line, and stays until
// the engine ends it. A killed engine ends nothing: plugins go on in process groups of their own, with whatever they
// were doing. As the official plugins do, ours then look from time to time whether the engine is still there.

import { connect } from "node:net";
import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { type Metadata, Server, ServerCredentials, type ServiceDefinition, status } from "@grpc/grpc-js";

const ENGINE_CHECK_MS = 60_000;
const MESSAGE_LIMIT_BYTES = 400 * 1024 * 1024;

/** The address of the engine: the last argument that is not a flag; absent when a debugger attaches by hand. */
export function engineAddress(argv: readonly string[]): string | undefined {
  return argv.filter((argument) => !argument.startsWith("-")).at(-1);
}

export async function serve(service: ServiceDefinition, handlers: UntypedServiceImplementation): Promise<void> {
  const server = new Server({
    "grpc.max_receive_message_length": MESSAGE_LIMIT_BYTES,
    "grpc.max_send_message_length": MESSAGE_LIMIT_BYTES,
  });
  server.addService(service, handlers);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  process.stdout.write(`${port}\n`);
}

/** Ends this process once the engine no longer listens; a call that still runs is finished first. */
export function leaveWithEngine(address: string, running: () => number): void {
  const [host, port] = [
    address.slice(0, address.lastIndexOf(":")),
    Number(address.slice(address.lastIndexOf(":") + 1)),
  ];
  const timer = setInterval(() => {
    const socket = connect({ host, port });
    socket.once("connect", () => socket.destroy());
    socket.once("error", () => {
      if (running() === 0) process.exit(0);
    });
  }, ENGINE_CHECK_MS);
  timer.unref();
}

/** What gRPC reports for a failed call; the engine shows `details` to the user as it stands. */
export function failure(error: unknown): { code: status; details: string; metadata?: Metadata } {
  return { code: status.UNKNOWN, details: error instanceof Error ? error.message : String(error) };
}
