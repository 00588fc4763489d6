/** Questions to a page, as the text of a script: what a browser knows and Node has no types of. */

/** Text whose contrast with what is behind it is below 4.5, as `text: ratio`. */
export const faintText = `(() => {
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => { probe.clearRect(0, 0, 1, 1); probe.fillStyle = colour; probe.fillRect(0, 0, 1, 1); return [...probe.getImageData(0, 0, 1, 1).data]; };
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const faint = [];
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join("");
    if (text === "" || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(text + ": " + ratio.toFixed(2));
  }
  return faint;
})()`;

/** Ids and classes of what sticks out of the window to the right, other than what scrolls inside its own box. */
export const tooWide = `(() => {
  const wide = [...document.body.querySelectorAll("*")].filter((element) => element.closest("pre") === null && element.getBoundingClientRect().right > innerWidth + 0.5);
  const page = document.documentElement.scrollWidth > innerWidth ? ["the page itself"] : [];
  return [...page, ...wide.map((element) => element.tagName + "#" + element.id + "." + element.getAttribute("class"))];
})()`;

/** What has the focus, and whether that can be seen. */
export const focus = `(() => {
  const element = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const seen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && box.width > 0 && box.top >= 0 && box.bottom > 0;
  return { what: element.id || element.className || element.tagName, seen };
})()`;

/** What a reader with a screen reader would miss, in words. */
export const missing = `(() => {
  const faults = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const expect = (holds, what) => { if (!holds) faults.push(what); };
  expect(document.documentElement.lang === "en", "the page's language");
  expect(document.title !== "", "the page's title");
  for (const landmark of ["header", "main", "footer", "h1"]) expect(all("body " + landmark + (landmark === "header" ? ":not(article *)" : "")).length === 1, "one " + landmark);
  let level = 0;
  for (const heading of all("h1,h2,h3")) {
    const next = Number(heading.tagName[1]);
    expect(next <= level + 1, "a heading between levels " + level + " and " + next);
    level = next;
  }
  const ids = all("[id]").map(({ id }) => id);
  expect(new Set(ids).size === ids.length, "ids that are there once");
  for (const element of all("[aria-labelledby]")) expect(document.getElementById(element.getAttribute("aria-labelledby"))?.textContent.trim(), "the label of #" + element.id);
  for (const element of all("button,a")) expect(element.textContent.trim() !== "", "words on " + element.outerHTML);
  for (const element of all("svg,.picture")) expect(element.closest("[aria-hidden=true]") !== null, "hiding of a picture whose words stand beside it");
  for (const table of all("table")) {
    expect([...table.tHead.rows[0].cells].every((cell) => cell.scope === "col"), "heads of columns");
    expect([...table.tBodies[0].rows].every((row) => row.cells[0].scope === "row"), "heads of rows");
  }
  expect(all("#state[role=status],#connection[role=status],#notice[role=status]").length === 3, "places that are read out when they change");
  return faults;
})()`;
