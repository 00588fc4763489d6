import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { driftReasons, judge, judgeAll } from "../../../../infra/host/drift.ts";
import type { Observed } from "../../../../infra/spec/host-documents.ts";
import type { Loose } from "../spec/example.ts";
import { containerHash, documents, hashes, observed, tokens } from "./observed.ts";

const judged = (seen: Observed, fresh = "now", known = tokens, keys = "") =>
  judgeAll(hashes, containerHash, keys, known, driftReasons(documents, seen), seen.proxy.containers, fresh);
const tokensOf = (seen: Observed, fresh?: string, known = tokens, keys?: string): Record<string, string> =>
  Object.fromEntries(Object.entries(judged(seen, fresh, known, keys)).map(([name, { token }]) => [name, token]));
const asDeclared = tokensOf(observed());
const changed = (seen: Observed): string[] => {
  const now = tokensOf(seen);
  return Object.keys(now).filter((name) => now[name] !== asDeclared[name]);
};

const model = "Qwen3.6-27B";
/** What somebody did by hand, the resources that must change, and a word of the reason. */
const deeds: readonly (readonly [string, (seen: Loose) => void, string[], RegExp])[] = [
  [
    "the model is unloaded",
    (s) => {
      s.models[model].instances = [];
    },
    [`model-${model}`],
    /not loaded/,
  ],
  [
    "the model is loaded with another context",
    (s) => {
      Object.assign(s.models[model].instances[0] ?? {}, { contextLength: 4096 });
    },
    [`model-${model}`],
    /context 4096 instead of 200000/,
  ],
  [
    "the model is loaded with other slots",
    (s) => {
      Object.assign(s.models[model].instances[0] ?? {}, { parallel: 1 });
    },
    [`model-${model}`],
    /parallel 1 instead of 2/,
  ],
  [
    "the model's defaults in LM Studio are changed",
    (s) => {
      Object.assign(s.models[model], { defaultsDrift: ["llm.load.llama.flashAttention"] });
    },
    [`model-${model}`],
    /defaults in LM Studio were changed: llm\.load\.llama\.flashAttention/,
  ],
  [
    "the model is loaded twice",
    (s) => {
      s.models[model].instances.push({ identifier: `${model}:2`, contextLength: 1, parallel: 1 });
    },
    [`model-${model}`],
    /also loaded as .*:2/,
  ],
  [
    "the model's link is removed",
    (s) => {
      s.models[model].imported = false;
    },
    [`model-${model}`],
    /no longer among/,
  ],
  [
    "the model's file is exchanged",
    (s) => {
      s.models[model].verified = false;
    },
    [`model-file-${model}`],
    /verified/,
  ],
  [
    "the daemon is killed",
    (s) => {
      s.lmstudio.daemon.running = false;
      s.lmstudio.server.greeting = false;
      s.models[model].instances = [];
    },
    ["lmstudio"],
    /daemon is not running/,
  ],
  [
    "the daemon was started from a shell",
    (s) => {
      s.lmstudio.daemon.supervised = false;
    },
    ["lmstudio"],
    /outside the supervisor/,
  ],
  [
    "the server is stopped",
    (s) => {
      s.lmstudio.server = { greeting: false, port: null, address: null };
    },
    ["lmstudio"],
    /does not answer/,
  ],
  [
    "the server has another port",
    (s) => {
      s.lmstudio.server.port = 1234;
    },
    ["lmstudio"],
    /1234 instead of 8081/,
  ],
  [
    "the server is open to everybody",
    (s) => {
      s.lmstudio.server.address = "0.0.0.0";
    },
    ["lmstudio"],
    /instead of loopback/,
  ],
  [
    "the unit file is edited",
    (s) => {
      s.lmstudio.service.sha256 = "x";
    },
    ["lmstudio"],
    /edited/,
  ],
  [
    "the unit is stopped",
    (s) => {
      s.lmstudio.service.active = false;
    },
    ["lmstudio"],
    /stopped/,
  ],
  [
    "the unit is disabled",
    (s) => {
      s.lmstudio.service.enabled = false;
    },
    ["lmstudio"],
    /boot/,
  ],
  [
    "a setting is changed",
    (s) => {
      s.lmstudio.settingsDrift = ["settings.json:developer"];
    },
    ["lmstudio"],
    /settings\.json:developer/,
  ],
  [
    "another version is installed",
    (s) => {
      s.lmstudio.installedVersion = "0.0.26-1";
    },
    ["lmstudio"],
    /0\.0\.26-1 .*instead of 0\.0\.25-1/,
  ],
  [
    "the supervisor repaired something",
    (s) => {
      s.incidents = { lmstudio: ["the daemon was gone"] };
    },
    ["lmstudio"],
    /daemon was gone/,
  ],
  [
    "the image is removed",
    (s) => {
      s.proxy.imagePresent = false;
    },
    ["proxy-image"],
    /image is gone/,
  ],
  [
    "the container is removed",
    (s) => {
      s.proxy.containers = [];
    },
    ["proxy-container"],
    /container is gone/,
  ],
  [
    "the container is stopped",
    (s) => {
      Object.assign(s.proxy.containers[0] ?? {}, { running: false });
    },
    ["proxy-gate"],
    /stopped/,
  ],
  [
    "the container is unhealthy",
    (s) => {
      Object.assign(s.proxy.containers[0] ?? {}, { health: "unhealthy" });
    },
    ["proxy-gate"],
    /not healthy/,
  ],
  [
    "a container is left over",
    (s) => {
      s.proxy.containers.push({ id: "old", token: "else.1", running: true, health: "healthy" });
    },
    ["proxy-gate"],
    /left over/,
  ],
];

test("a host as declared keeps every token, so that nothing is changed", () => {
  expect(tokensOf(observed(), "another run")).toEqual(asDeclared);
  expect(Object.values(judged(observed())).flatMap(({ reasons }) => reasons)).toEqual([]);
});

test.each(deeds)("when %s, exactly that resource changes and says why", (_, deed, resources, word) => {
  const seen = observed(deed);
  expect(changed(seen)).toEqual(resources);
  expect(judged(seen)[resources[0] as "lmstudio"].reasons.join("; ")).toMatch(word);
});

test("an edited proxy configuration also renews the container, which reads it only when it starts", () => {
  expect(
    changed(
      observed((s) => {
        s.proxy.filesSha256 = "x";
      }),
    ).sort(),
  ).toEqual(["proxy-container", "proxy-files"]);
});

test("whatever happens together, only what was touched changes, and a repaired host is quiet again", () => {
  fc.assert(
    fc.property(
      fc.subarray(
        deeds.map((_, index) => index),
        { minLength: 1 },
      ),
      (chosen) => {
        const seen = observed((s) => {
          for (const index of chosen) deeds[index]?.[1](s);
        });
        const allowed = new Set(chosen.flatMap((index) => deeds[index]?.[2] ?? []));
        expect(changed(seen).every((name) => allowed.has(name))).toBe(true);
        const repaired = tokensOf(seen);
        const after = observed((s) => {
          s.proxy.containers[0].token = repaired["proxy-container"];
        });
        expect(tokensOf(after, "later", repaired)).toEqual(repaired);
      },
    ),
  );
});

describe("other keys", () => {
  const held = (keys: string, known: Readonly<Record<string, string>> = tokens, fresh = "now") =>
    tokensOf(observed(), fresh, known, keys);
  const differing = (a: Record<string, string>, b: Record<string, string>) =>
    Object.keys(a).filter((name) => a[name] !== b[name]);

  test("change the proxy's files alone: the container stays, and nobody is warned", () => {
    const first = held("k1");
    expect(differing(first, held("k1", first, "later"))).toEqual([]);
    expect(differing(first, held("k2", first, "later"))).toEqual(["proxy-files"]);
    expect(Object.values(judged(observed(), "later", first, "k2")).flatMap(({ reasons }) => reasons)).toEqual([]);
  });

  test("are put in force again on a host whose disk was rolled back to the earlier ones", () => {
    const first = held("k1", tokens, "run 1");
    const second = held("k2", first, "run 2");
    const after = held("k2", first, "run 3");
    expect(differing(second, after)).toEqual(["proxy-files"]);
  });

  test("do not hide that the files were edited by hand", () => {
    const first = held("k1");
    const edited = observed((s) => {
      s.proxy.filesSha256 = "x";
    });
    expect(differing(first, tokensOf(edited, "later", first, "k1"))).toEqual(["proxy-files", "proxy-container"]);
  });
});

describe("a token", () => {
  const hash = fc.stringMatching(/^[0-9a-f]{12}$/);
  const reasons = fc.array(fc.string());

  test("stays as long as the document is the same and nothing drifted", () => {
    fc.assert(
      fc.property(hash, hash, fc.string(), (document, salt, fresh) => {
        expect(judge(document, `${document}.${salt}`, [], fresh).token).toBe(`${document}.${salt}`);
      }),
    );
  });

  test("never comes back once the host had to be repaired, not even after a roll-back of its disk", () => {
    fc.assert(
      fc.property(hash, fc.option(hash), reasons, (document, salt, why) => {
        const held = salt === null ? undefined : `${document}.${salt}`;
        const [first, second] = ["run 1", "run 2"].map((fresh) => judge(document, held, [...why, "x"], fresh).token);
        expect(first).not.toBe(second);
        expect(first).not.toBe(held);
      }),
    );
  });

  test("is judged the same however often one run looks", () => {
    fc.assert(
      fc.property(
        hash,
        fc.option(fc.string(), { nil: undefined }),
        reasons,
        fc.string(),
        (document, held, why, fresh) => {
          expect(judge(document, held, why, fresh)).toEqual(judge(document, held, why, fresh));
        },
      ),
    );
  });

  test("of another document gives no warning: the operator asked for the change", () => {
    expect(judge("new", "old.salt", ["it differs"], "now").reasons).toEqual([]);
  });
});

test("without a look at the host the last tokens are kept, and nothing is called drift", () => {
  const last = { ...tokens, "proxy-container": asDeclared["proxy-container"] as string };
  const kept = judgeAll(hashes, containerHash, "", last, {}, null, "now");
  expect(Object.fromEntries(Object.entries(kept).map(([name, { token }]) => [name, token]))).toEqual(asDeclared);
});

test.each([
  ["absent", null, ["the proxy's service is stopped"]],
  ["as declared", {}, []],
  ["stopped", { active: false }, ["the proxy's service is stopped"]],
  ["edited", { sha256: "x" }, ["the proxy's service file was edited or removed"]],
  ["removed", { active: false, enabled: false, sha256: null }, ["the proxy's service file was edited or removed"]],
  ["disabled", { enabled: false }, ["the proxy's service does not start at boot"]],
] as const)(
  "a native proxy whose service is %s is judged so, and one in a container has none",
  (_, change, reasons) => {
    const sound = { active: true, enabled: true, sha256: "u", expectedSha256: "u" };
    const seen = observed((s) => {
      s.proxy.service = change === null ? null : { ...sound, ...change };
    });
    expect(driftReasons({ ...documents, runtime: "native" }, seen)["proxy-files"]).toEqual(reasons);
    expect(driftReasons({ ...documents, runtime: "docker" }, seen)["proxy-files"]).toEqual([]);
  },
);
