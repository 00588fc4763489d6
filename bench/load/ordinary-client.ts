import http from "node:http";
import type { Answer, Client } from "./client.ts";
import type { LoadRequest } from "./request.ts";

export class OrdinaryClient implements Client {
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  send({ method, path, headers, body }: LoadRequest, onData?: (bytes: Buffer) => void): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port: this.#port, agent: this.#agent, method, path, headers };
      const request = http.request(options, (response) => {
        response.on("data", (bytes: Buffer) => onData?.(bytes));
        response.on("end", () => resolve({ status: response.statusCode ?? 0 }));
        response.on("error", reject);
      });
      request.on("error", reject);
      request.end(body);
    });
  }

  destroy(): void {
    this.#agent.destroy();
  }
}
