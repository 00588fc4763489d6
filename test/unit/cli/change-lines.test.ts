import { expect, test } from "vitest";
import { changeLines } from "../../../infra/cli/change-lines.ts";

const change = (before: string | undefined, after: string | undefined) =>
  changeLines({ name: "box.env", before, after, mode: 0o600 }).join("\n");

test("a change is shown with what is around it, and without the rest", () => {
  const lines = Array.from({ length: 12 }, (_, index) => `line ${index}`);
  const text = `${lines.join("\n")}\n`;
  expect(change(text, text.replace("line 6", "line six"))).toMatchInlineSnapshot(`
    "box.env (changed)
        …
        line 4
        line 5
      + line six
      - line 6
        line 7
        line 8
        …"
  `);
});

test("a key is shown neither when it comes nor when it goes", () => {
  const shown = change("export LMS_API_KEY='sk-old'\n", "export LMS_API_KEY='sk-new'\nMY_TOKEN=sk-x\n");
  expect(shown).not.toContain("sk-");
  expect(shown).toMatchInlineSnapshot(`
    "box.env (changed)
      + export LMS_API_KEY=(hidden)
      + MY_TOKEN=(hidden)
      - export LMS_API_KEY=(hidden)"
  `);
});

test("a file that comes or goes says so", () => {
  expect(change(undefined, "a\n")).toBe("box.env (new)\n  + a");
  expect(change("a\n", undefined)).toBe("box.env (removed)\n  - a");
});
