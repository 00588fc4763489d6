/** The same results as a picture: one group of bars a row, drawn with no more than SVG itself, readable on light and dark pages. */
import type { Figure } from "../figures.ts";

export interface Group {
  readonly title: string;
  readonly unit: string;
  readonly digits: number;
  readonly bars: readonly { readonly label: string; readonly value: number }[];
}

const width = 860;
const labelWidth = 170;
const barHeight = 18;
const gap = 6;
const headHeight = 34;

export function groupOf(
  title: string,
  figures: readonly Figure[],
  metric: string,
  unit: string,
  digits: number,
): Group {
  const bars = figures
    .filter((figure) => figure.metric === metric && Number.isFinite(figure.median))
    .map(({ peer, median }) => ({ label: peer, value: median }));
  return { title, unit, digits, bars };
}

export function picture(groups: readonly Group[]): string {
  let y = 12;
  const parts: string[] = [];
  for (const { title, unit, digits, bars } of groups) {
    const most = Math.max(...bars.map(({ value }) => value));
    parts.push(text(0, y + 16, title, "title"));
    y += headHeight - 8;
    for (const { label, value } of bars) {
      const length = Math.max(1, (value / most) * (width - labelWidth - 130));
      const kind = label.startsWith("lmstack") ? "own" : "other";
      parts.push(
        text(labelWidth - 8, y + 14, label, "label"),
        `<rect class="${kind}" x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="2"/>`,
        text(labelWidth + length + 6, y + 14, `${value.toFixed(digits)} ${unit}`.trim(), "value"),
      );
      y += barHeight + gap;
    }
    y += 14;
  }
  const style = `text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}.label{text-anchor:end}.own{fill:#1a7f5a}.other{fill:#8c959f}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.own{fill:#3fb98a}.other{fill:#6e7681}}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" role="img" aria-label="The proxy beside its peers"><style>${style}</style>
${parts.join("\n")}
</svg>
`;
}

function text(x: number, y: number, words: string, kind: string): string {
  const safe = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text class="${kind}" x="${x.toFixed(0)}" y="${y}">${safe}</text>`;
}
