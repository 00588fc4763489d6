import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contentSecurityPolicy, fragments, renderPage } from "../../../../proxy/page/render.ts";
import { statusSnapshot } from "../../../../proxy/page/snapshot.ts";
import { error, idle, now, parts } from "./parts.ts";

const origin = "http://host:8080";

/** A snapshot in which one text stands everywhere where a stranger's can. */
const withEverywhere = (text: string) => {
  const config = { ...parts.config, models: { [`m${text}`]: { thinking: "off" } } } as const;
  const queues = [{ model: `q${text}`, slots: 2, ...idle, running: 2, queued: 3 }];
  const models = [{ model: `s${text}`, tokensPerSecond: [1, 2], firstTokenMs: [null, 3] }];
  return statusSnapshot({
    ...parts,
    config,
    loaded: new Map(),
    queues,
    problem: text,
    readiness: { ready: false, reason: text, models: {} },
    series: { ...parts.series, models, recentErrors: [error({ message: text, model: text, code: text })] },
    gpus: [{ index: 0, name: text, ...gpuFigures }],
    version: text,
  });
};
const gpuFigures = {
  memoryUsedBytes: 2 ** 30,
  memoryTotalBytes: 2 ** 32,
  utilization: 0.5,
  temperatureCelsius: null,
  powerWatts: 300,
};

/** Tags as a browser sees them; the texts of style and script are left out, and so is what makes a command stand out. */
const tags = (page: string) =>
  [...page.replace(/<(style|script)>.*?<\/\1>/gs, "").matchAll(/<(\/?[a-z0-9!]+)[^>]*?(\/?)>/g)]
    .map(([, name, closed]) => `${name}${closed}`)
    .filter((name) => !name.includes("code"));
const words = (page: string) =>
  page.replace(/<[^>]*>/g, "").replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code));

describe("the status page", () => {
  it("shows what strangers wrote as text: no tag and no attribute can be made of it", () => {
    const plain = tags(renderPage(withEverywhere("x"), origin));
    const hostile = fc.oneof(
      fc.string({ unit: "binary", maxLength: 80 }),
      fc
        .array(
          fc.constantFrom(
            "<",
            ">",
            '"',
            "'",
            "&",
            "</style>",
            "<script>",
            "<img src=x onerror=y>",
            "&lt;",
            "`",
            "${",
            "-->",
          ),
        )
        .map((pieces) => pieces.join("")),
    );
    fc.assert(
      fc.property(hostile, (text) => {
        const page = renderPage(withEverywhere(text), origin);
        expect(tags(page)).toEqual(plain);
        expect(words(page)).toContain(statusSnapshot({ ...parts, problem: text }).problem);
      }),
    );
  });

  it("is well-formed: what is opened is closed, in order", () => {
    const open: string[] = [];
    for (const tag of tags(renderPage(withEverywhere("<b>"), origin))) {
      if (/^(?:!doctype|meta|link|.*\/$)/.test(tag)) continue;
      if (!tag.startsWith("/")) open.push(tag);
      else expect(tag).toBe(`/${open.pop()}`);
    }
    expect(open).toEqual([]);
  });

  it("runs its own script and style only, named by their digests, and needs nothing from elsewhere", () => {
    const page = renderPage(withEverywhere("x"), origin);
    for (const name of ["style", "script"]) {
      const text = page.match(new RegExp(`<${name}>(.*?)</${name}>`, "s"))?.[1] as string;
      const digest = createHash("sha256").update(text).digest("base64");
      expect(contentSecurityPolicy).toContain(`${name}-src 'sha256-${digest}'`);
    }
    expect(contentSecurityPolicy).toMatch(/^default-src 'none';/);
    expect(contentSecurityPolicy).not.toMatch(/unsafe|https?:|\*/);
    expect(page).not.toMatch(/ (?:style|on[a-z]+|src)=/);
  });

  it("has one element for each of its live parts", () => {
    const page = renderPage(statusSnapshot(parts), origin);
    for (const id of Object.keys(fragments(statusSnapshot(parts), origin))) {
      expect(page.split(`id="${id}"`)).toHaveLength(2);
    }
  });

  it("says in one sentence whether it is ready, and what to run when it is not", () => {
    const readiness = { ready: false, reason: 'Not loaded: m. "lmstack status" tells how far it is.', models: {} };
    const { state } = fragments(statusSnapshot({ ...parts, readiness }), origin);
    expect(words(state)).toBe("Not ready. Not loaded: m. lmstack status tells how far it is.");
    expect(state).toContain("<code>lmstack status</code>");
    expect(words(fragments(statusSnapshot({ ...parts, ending: true }), origin).state)).toMatch(/^Ending\. /);
    expect(words(fragments(statusSnapshot({ ...parts, readiness: undefined }), origin).state)).toMatch(
      /^Not known yet\. /,
    );
  });

  it("draws a box for each slot and a person for each who waits, and says the same in words", () => {
    const queues = [
      { model: "m", slots: 3, running: 1, claimed: 1, queued: 4, heldUntil: now + 120_000, missing: false },
    ];
    const { models } = fragments(statusSnapshot({ ...parts, queues }), origin);
    const count = (mark: string) => models.split(mark).length - 1;
    expect([count("slot busy"), count("slot claimed"), count("slot free"), count("person")]).toEqual([1, 1, 1, 4]);
    expect(words(models)).toContain("2 of 3 slots busy (1 by the process before this one), 4 waiting");
    expect(words(models)).toContain("new requests wait for at most 2 min more");
  });

  it("stays small however many wait", () => {
    const queues = [{ model: "m", slots: 9_000, ...idle, running: 9_000, queued: 12_000 }];
    const { models } = fragments(statusSnapshot({ ...parts, queues }), origin);
    expect(models.length).toBeLessThan(10_000);
    expect(words(models)).toContain("9,000 of 9,000 slots busy, 12,000 waiting");
  });

  it("draws only what was measured", () => {
    const models = [{ model: "m", tokensPerSecond: [0, 40.04, 0, 8], firstTokenMs: [null, 1_500, null, null] }];
    const text = fragments(statusSnapshot({ ...parts, series: { ...parts.series, models } }), origin).models;
    const columns = [...text.matchAll(/<path d="(.*?)"/g)].map(([, path]) => path?.match(/M\d+/g));
    expect(columns).toEqual([["M4", "M12"], ["M4"]]);
    expect(words(text)).toContain("latest 8.0, highest 40");
    expect(words(text)).toContain("latest 1.5 s, highest 1.5 s");
  });

  it("leaves out what the driver does not know of a card, and the table where there is none", () => {
    const { cards } = fragments(withEverywhere("RTX"), origin);
    expect(words(cards).split("\n")).toEqual(
      expect.arrayContaining([expect.stringContaining("1.0 of 4.0"), "–", "300 W"]),
    );
    expect(fragments(statusSnapshot(parts), origin).cards).toBe("");
  });

  it("tells of each error what it was, how often it came and what to do", () => {
    const recentErrors = [error({ times: 3, message: "Busy. Try again in 2 s." })];
    const { errors } = fragments(statusSnapshot({ ...parts, series: { ...parts.series, recentErrors } }), origin);
    expect(words(errors)).toContain("queue_full · status 503 · 3 times in a row · m · 2 min ago");
    expect(words(errors)).toContain("Busy. Try again in 2 s.");
  });
});
