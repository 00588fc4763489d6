/** The WebSockets of the server's port, which LM Studio's own client library uses. */
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import type { Fact } from "../fact.ts";
import type { Place } from "../place.ts";
import { assert, shape } from "./words.ts";

/** First message back after the first one sent, on a WebSocket of `path`; null when the upgrade is refused. */
function firstFrame(place: Place, path: string, said: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({
      host: "127.0.0.1",
      port: place.port as number,
      path,
      headers: {
        connection: "Upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": randomBytes(16).toString("base64"),
      },
    });
    call.on("error", reject);
    call.on("response", (response) => {
      response.resume();
      resolve(null);
    });
    call.on("upgrade", (_response, socket) => {
      const text = Buffer.from(JSON.stringify(said));
      // A masked text frame of at most 125 bytes, with a mask of zeros.
      socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]));
      socket.once("data", (frame: Buffer) => {
        socket.destroy();
        resolve(JSON.parse(frame.subarray(2, 2 + ((frame[1] as number) & 0x7f)).toString("utf8")));
      });
    });
    call.end();
  });
}

export const webSockets: readonly Fact[] = [
  {
    id: "LMS-223",
    words:
      "WebSockets at `/llm`, `/system` and others of the same port take a first frame with a client's identifier and passkey: `{success: true}`",
    source: "lmstudio-js LMStudioClient.ts, createAuthenticatedClientPort.ts",
    lmstack: "the proxy passes no upgrade on",
    needs: "server",
    reads: async (place) => {
      for (const path of ["/llm", "/system"]) {
        const said = { authVersion: 1, clientIdentifier: "conformance", clientPasskey: "conformance" };
        assert.deepEqual(await firstFrame(place, path, said), { success: true }, path);
      }
    },
  },
  {
    id: "LMS-224",
    words: "a first frame of another form is answered `{success: false, error}`",
    source: "lmstudio-js createAuthenticatedClientPort.ts",
    lmstack: "the proxy passes no upgrade on",
    needs: "server",
    reads: async (place) => {
      const answer = (await firstFrame(place, "/llm", { hello: 1 })) as { success: boolean };
      assert.equal(answer.success, false);
      shape(answer, { error: "string" });
    },
  },
];
