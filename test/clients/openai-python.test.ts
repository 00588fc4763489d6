import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, it } from "vitest";
import { key, model, type Place, startPlace } from "./place.ts";

let place: Place;

beforeAll(async () => {
  place = await startPlace({ heartbeatSeconds: 0.05 });
});
afterAll(async () => await place?.[Symbol.asyncDispose]());

it("OpenAI's Python package streams, calls tools, is cancelled and told its errors", async () => {
  const { exitCode, stdout, stderr } = await execa("python3", [join(import.meta.dirname, "openai_client.py")], {
    env: {
      OPENAI_BASE_URL: place.baseUrl,
      OPENAI_API_KEY: key,
      LMSTACK_MODEL: model,
      NO_PROXY: "*",
    },
    reject: false,
    timeout: 90_000,
  });
  expect(exitCode, stderr).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    whole: "You said: hello",
    streamed: "You said: sim:prefill=200 hello",
    reasoning: 0,
    tool: "weather",
    responses: "You said: hello",
    wrong_key: "AuthenticationError",
    bad_request: "BadRequestError",
  });
  await place.cancelled();
});
