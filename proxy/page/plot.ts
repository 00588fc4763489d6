/** One value for each ten seconds of the last fifteen minutes, as columns: what was not measured is a gap, and nothing is drawn between two values. */
import { type Html, html } from "./html.ts";

const step = 4;
const width = 3;
const height = 48;

/** `print` is how a value is read, with its unit. The words below a plot say what it shows, so the picture itself is hidden from screen readers. */
export function plot(title: string, values: readonly (number | null)[], print: (value: number) => string): Html {
  const measured = values.filter((value) => value !== null && value > 0) as number[];
  const latest = measured.at(-1);
  const highest = Math.max(0, ...measured);
  const figures =
    latest === undefined ? html`none measured` : html`latest <b>${print(latest)}</b>, highest ${print(highest)}`;
  return html`<figure class="plot"><figcaption>${title} <span class="figures">${figures}</span></figcaption>
<svg viewBox="0 0 ${90 * step} ${height}" preserveAspectRatio="none" aria-hidden="true" focusable="false"><path d="${columns(values, highest)}"/></svg>
<p class="axis" aria-hidden="true"><span>15 min ago</span><span>now</span></p></figure>`;
}

function columns(values: readonly (number | null)[], highest: number): string {
  let path = "";
  for (const [index, value] of values.entries()) {
    if (value === null || value <= 0) continue;
    // A small value is still to be seen beside a large one.
    const tall = Math.max(1, Math.round((value / highest) * (height - 2) * 10) / 10);
    path += `M${index * step} ${height}v-${tall}h${width}v${tall}z`;
  }
  return path;
}
