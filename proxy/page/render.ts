/** The status page as HTML. Its live parts are rendered here and nowhere else: the first time into the page, later into the event stream. */
import { createHash } from "node:crypto";
import type { GpuFacts } from "../../infra/spec/gpu-facts.ts";
import type { RecentError } from "../seeing/series.ts";
import { codexLines } from "./codex-lines.ts";
import { type Html, html, ownText } from "./html.ts";
import { plot } from "./plot.ts";
import { script } from "./script.ts";
import type { ModelStatus, StatusSnapshot } from "./snapshot.ts";
import { style } from "./style.ts";
import { ago, counted, duration, gibibytes, milliseconds, rate, whole } from "./words.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("base64");

export const contentSecurityPolicy = [
  "default-src 'none'",
  `style-src 'sha256-${sha256(style)}'`,
  `script-src 'sha256-${sha256(script)}'`,
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** A page that was made by another version does not fit this one's fragments. */
export const pageMark = sha256(style + script).slice(0, 12);

/** Keyed by the id of the element whose content each one is. */
export type Fragments = Readonly<Record<"state" | "models" | "cards" | "errors" | "codex" | "process", string>>;

/** `origin` is `http://host:port`, checked. */
export function fragments(snapshot: StatusSnapshot, origin: string): Fragments {
  return {
    state: stateOf(snapshot).text,
    models: modelsOf(snapshot).text,
    cards: cardsOf(snapshot.gpus).text,
    errors: errorsOf(snapshot).text,
    codex: codexOf(snapshot, origin).text,
    process: processOf(snapshot).text,
  };
}

export function renderPage(snapshot: StatusSnapshot, origin: string): string {
  const parts = fragments(snapshot, origin);
  const part = (id: keyof Fragments) => ownText(parts[id]);
  const taken = new Date(snapshot.at).toISOString().slice(11, 19);
  return html`<!doctype html>
<html lang="en" data-page="${pageMark}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>lmstack</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='%23177a69' d='M1 1h14v4H1zM1 6h14v4H1zM1 11h9v4H1z'/%3E%3C/svg%3E">
<style>${ownText(style)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the models</a>
<header>
<p class="brand"><b>lmstack</b> <span id="connection" class="quiet" role="status">As of ${taken} UTC; reload for newer figures.</span></p>
<h1>${new URL(origin).hostname}</h1>
<p class="quiet">Endpoint <code>${origin}/v1</code></p>
<div id="state" role="status" aria-live="polite">${part("state")}</div>
</header>
<main id="main" tabindex="-1">
<section id="models" aria-labelledby="models-title">${part("models")}</section>
<section id="cards" aria-label="Graphics cards">${part("cards")}</section>
<section id="errors" aria-labelledby="errors-title">${part("errors")}</section>
<section id="codex" aria-labelledby="codex-title">${part("codex")}</section>
</main>
<footer>
<div id="process">${part("process")}</div>
</footer>
<p id="notice" role="status"></p>
<script>${ownText(script)}</script>
</body>
</html>
`.text;
}

function stateOf({ ending, ready, reason, problem }: StatusSnapshot): Html {
  const [word, look] = ending
    ? ["Ending", "wait"]
    : ready === null
      ? ["Not known yet", "wait"]
      : ready
        ? ["Ready", "good"]
        : ["Not ready", "bad"];
  const told =
    problem === null
      ? undefined
      : html`<p class="problem"><b class="bad">The newest configuration is not in force.</b> ${withCommands(problem)}</p>`;
  return html`<p class="state"><b class="${look}">${word}.</b> ${withCommands(reason)}</p>${told}`;
}

/** What the reader is told to run stands out. */
function withCommands(sentence: string): Html {
  const pieces = sentence.split(/"((?:lmstack|npx|pulumi|lms) [^"]*)"/);
  return html`${pieces.map((piece, index) => (index % 2 === 1 ? html`<code>${piece}</code>` : html`${piece}`))}`;
}

function modelsOf({ models, moreModels, at }: StatusSnapshot): Html {
  const more =
    moreModels === 0 ? undefined : html`<p class="quiet">And ${counted(moreModels, "model", "models")} more.</p>`;
  const body =
    models.length === 0
      ? html`<p class="quiet">LM Studio has loaded nothing, and the configuration names no model.</p>`
      : html`${models.map((model, index) => modelOf(model, index, at))}${more}`;
  return html`<h2 id="models-title">Models</h2>${body}`;
}

function modelOf(status: ModelStatus, index: number, now: number): Html {
  const { model, state, contextLength, thinking, heldUntil } = status;
  const [word, look] = heldUntil !== null ? ["held", "wait"] : tags[state];
  const facts = [
    `thinking ${thinking === "client" ? "as the client asks" : thinking}`,
    ...(contextLength === null ? [] : [`${whole(contextLength)} tokens context`]),
    ...(heldUntil === null ? [] : [`new requests wait for at most ${duration((heldUntil - now) / 1000 + 1)} more`]),
  ];
  return html`<article class="model" aria-labelledby="model-${index}">
<div class="who"><h3 id="model-${index}"><bdi>${model}</bdi></h3>
<p class="quiet"><b class="${look}">${word}</b> · ${facts.join(" · ")}</p>
${picture(status)}<p>${occupancy(status)}</p></div>
${plots(status)}
</article>`;
}

const tags = {
  loaded: ["loaded", "good"],
  "not loaded": ["not loaded", "bad"],
  unknown: ["not known", "wait"],
} as const satisfies Record<ModelStatus["state"], unknown>;

function plots({ tokensPerSecond, firstTokenMs }: ModelStatus): Html {
  if (tokensPerSecond.length === 0) return html`<p class="quiet">No answer in the last 15 minutes.</p>`;
  return html`${plot("Tokens a second", tokensPerSecond, rate)}${plot("Time to first token", firstTokenMs, milliseconds)}`;
}

function occupancy({ slots, running, claimed, queued }: ModelStatus): Html {
  const busy = running + claimed;
  const elsewhere = claimed === 0 ? "" : ` (${whole(claimed)} by the process before this one)`;
  const used =
    slots === null
      ? html`<b>${whole(busy)}</b> running${elsewhere}, no limit`
      : html`<b>${whole(busy)}</b> of ${counted(slots, "slot", "slots")} busy${elsewhere}`;
  return html`${used}, <b>${whole(queued)}</b> waiting`;
}

const mostDrawn = 32;

/** Filled, half-filled (another process's) and empty slots, and a person for each request that waits. */
function picture({ slots, running, claimed, queued }: ModelStatus): Html {
  const boxes: Html[] = [];
  const drawn = Math.min(mostDrawn, Math.max(slots ?? 0, running + claimed));
  if (drawn + queued === 0) return html``;
  for (let place = 0; place < drawn; place++) {
    const look = place < running ? "busy" : place < running + claimed ? "claimed" : "free";
    boxes.push(html`<i class="slot ${look}"></i>`);
  }
  const people = Array.from(
    { length: Math.min(mostDrawn, queued) },
    () =>
      html`<svg class="person" viewBox="0 0 10 14"><circle cx="5" cy="3.2" r="2.7"/><path d="M0 14a5 6.5 0 0 1 10 0z"/></svg>`,
  );
  const more = queued > mostDrawn ? html`<span>+${whole(queued - mostDrawn)}</span>` : undefined;
  return html`<div class="picture" aria-hidden="true">${boxes}${people.length > 0 ? html`<i class="gap"></i>` : undefined}${people}${more}</div>`;
}

function cardsOf(gpus: readonly GpuFacts[]): Html {
  if (gpus.length === 0) return html``;
  const rows = gpus.map(
    (gpu) => html`<tr><th scope="row"><bdi>${gpu.name}</bdi></th><td>${memory(gpu)}</td>
<td>${figure(gpu.utilization, (value) => `${Math.round(value * 100)} %`)}</td>
<td>${figure(gpu.temperatureCelsius, (value) => `${Math.round(value)} °C`)}</td>
<td>${figure(gpu.powerWatts, (value) => `${Math.round(value)} W`)}</td></tr>`,
  );
  return html`<h2>Graphics cards</h2><table><thead><tr><th scope="col">Card</th><th scope="col">Memory, GiB</th><th scope="col">Use</th><th scope="col">Heat</th><th scope="col">Power</th></tr></thead><tbody>${rows}</tbody></table>`;
}

const figure = (value: number | null, print: (value: number) => string): string =>
  value === null ? "–" : print(value);

function memory({ memoryUsedBytes: used, memoryTotalBytes: total }: GpuFacts): Html {
  if (used === null || total === null || total === 0) return html`${figure(used ?? total, gibibytes)}`;
  const share = Math.round((Math.min(used, total) / total) * 100);
  return html`${gibibytes(used)} of ${gibibytes(total)}<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect width="${share}" height="4"/></svg>`;
}

function errorsOf({ errors, at }: StatusSnapshot): Html {
  const body =
    errors.length === 0
      ? html`<p class="quiet">None since this process began.</p>`
      : html`<ol>${errors.map((error) => errorOf(error, at))}</ol>`;
  return html`<h2 id="errors-title">Recent errors</h2>${body}`;
}

function errorOf({ at, code, status, model, message, times }: RecentError, now: number): Html {
  const facts = [
    ...(status === 0 ? [] : [`status ${status}`]),
    ...(times > 1 ? [`${whole(times)} times in a row`] : []),
  ];
  const named = model === null ? undefined : html` · <bdi>${model}</bdi>`;
  return html`<li><p class="quiet"><code>${code}</code>${facts.map((fact) => html` · ${fact}`)}${named} · <time datetime="${at}">${ago(Date.parse(at), now)}</time></p>
<p>${withCommands(message)}</p></li>`;
}

function codexOf(snapshot: StatusSnapshot, origin: string): Html {
  const { file, toml, shell } = codexLines(origin, snapshot);
  const keyHint = snapshot.keyed ? html` Put your key in the place of <code>YOUR-KEY</code>.` : undefined;
  return html`<h2 id="codex-title">Set up Codex</h2>
${block("codex-file", "the configuration", html`Save this as <code>${file}</code>`, toml)}
${block("codex-start", "the commands", html`Then start Codex with it.${keyHint}`, shell)}`;
}

/** Long lines scroll inside it, which the keyboard must be able to do too. */
function block(id: string, name: string, lead: Html, text: string): Html {
  return html`<div class="block"><p id="${id}-lead">${lead}</p><button type="button" id="${id}-copy" data-copy="${id}">Copy ${name}</button>
<pre id="${id}" tabindex="0" role="group" aria-labelledby="${id}-lead">${text}</pre></div>`;
}

function processOf({ version, startedAt, at, openStreams, connections, upstream, keyed }: StatusSnapshot): Html {
  const facts: readonly (readonly [string, string])[] = [
    ["Version", version],
    ["Running for", at - startedAt < 60_000 ? "less than a minute" : duration((at - startedAt) / 1000)],
    ["Open streams", whole(openStreams)],
    ["Connections", whole(connections)],
    ["LM Studio", upstream],
    ["Keys", keyed ? "needed" : "not needed"],
  ];
  return html`<dl>${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}
