/** The page's only script: puts new fragments in the place of old ones, and copies. Its hash is in the page's content security policy. */
export const script = `"use strict";
const byId = (id) => document.getElementById(id);
const say = (id, text) => { if (byId(id).textContent !== text) byId(id).textContent = text; };
const shown = new Map();
const waiting = new Map();
const selecting = (part) => { const s = getSelection(); return s !== null && !s.isCollapsed && part.contains(s.anchorNode); };
const show = () => {
  for (const [id, text] of waiting) {
    const part = byId(id);
    if (part !== null && selecting(part)) continue;
    waiting.delete(id);
    if (part === null || shown.get(id) === text) continue;
    shown.set(id, text);
    const held = part.contains(document.activeElement) ? document.activeElement.id : "";
    part.replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
    if (held !== "") byId(held)?.focus({ preventScroll: true });
  }
  const word = document.querySelector("#state b");
  if (word !== null) document.title = word.textContent.replace(/\\.$/, "") + " \\u00b7 lmstack";
};
let source, again, quiet;
const listen = () => {
  clearTimeout(again);
  source?.close();
  source = new EventSource("-/live");
  source.onmessage = ({ data }) => {
    const { page, parts } = JSON.parse(data);
    if (page !== document.documentElement.dataset.page) {
      source.close();
      again = setTimeout(() => location.reload(), 1000);
      return;
    }
    for (const [id, text] of Object.entries(parts)) waiting.set(id, text);
    show();
    say("connection", "Live.");
  };
  source.onerror = () => {
    say("connection", "Not live: the proxy does not answer. Trying again.");
    if (source.readyState === EventSource.CLOSED) again = setTimeout(listen, 5000);
  };
};
const unlisten = () => { clearTimeout(again); source?.close(); };
document.addEventListener("visibilitychange", () => (document.hidden ? unlisten() : listen()));
document.addEventListener("selectionchange", show);
document.addEventListener("click", async ({ target }) => {
  const id = target.dataset?.copy;
  if (id === undefined) return;
  const text = byId(id);
  let done = false;
  try {
    await navigator.clipboard.writeText(text.textContent);
    done = true;
  } catch {
    getSelection().selectAllChildren(text);
    done = document.execCommand("copy");
    if (done) getSelection().removeAllRanges();
  }
  say("notice", done ? "Copied." : "Copying is not allowed here; the text is selected.");
  clearTimeout(quiet);
  quiet = setTimeout(() => say("notice", ""), 4000);
});
document.documentElement.classList.add("scripted");
show();
listen();
`;
