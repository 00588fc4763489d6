import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lowPriority, threadOf } from "../../../../proxy/admission/title-request.ts";

const metadata = (members: object) => ({ "x-codex-turn-metadata": JSON.stringify(members) });

describe("a request of Codex", () => {
  it("can wait when it asks for a thread's title, however its metadata is spaced", () => {
    expect(lowPriority(metadata({ turn_id: "t", thread_source: "thread_title", model: "m" }))).toBe(true);
    expect(lowPriority({ "x-codex-turn-metadata": '{ "thread_source" : "thread_title" }' })).toBe(true);
  });

  it("cannot wait when it is a user's turn, whatever texts its metadata quotes", () => {
    expect(lowPriority(metadata({ thread_source: "user" }))).toBe(false);
    expect(lowPriority({})).toBe(false);
    fc.assert(
      fc.property(fc.string(), (text) => {
        const quoted = `${text}"thread_source":"thread_title"${text}`;
        expect(lowPriority(metadata({ thread_source: "user", workspace: quoted }))).toBe(false);
      }),
    );
  });

  it("belongs to the thread that it names, or else to its session", () => {
    const all = { "thread-id": "t", "session-id": "s", "x-client-request-id": "r" };
    expect(threadOf(all)).toBe("t");
    expect(threadOf({ ...all, "thread-id": undefined })).toBe("s");
    expect(threadOf({ "x-client-request-id": "r" })).toBe("r");
    expect(threadOf({ "thread-id": "" })).toBeUndefined();
    expect(threadOf({ "thread-id": "x".repeat(10_000), "session-id": "s" })).toBe("s");
  });

  it("is read without harm, whatever its headers hold", () => {
    const value = fc.oneof(fc.string(), fc.constant(undefined), fc.array(fc.string()));
    const headers = fc.record({ "x-codex-turn-metadata": value, "thread-id": value, "session-id": value });
    fc.assert(
      fc.property(headers, (garbage) => {
        expect(lowPriority(garbage as Record<string, string>)).toBe(false);
        const thread = threadOf(garbage as Record<string, string>);
        expect(thread === undefined || (typeof thread === "string" && thread.length <= 128)).toBe(true);
      }),
    );
  });
});
