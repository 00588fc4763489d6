/** The system's Chromium, and pages in it that let no fault of the browser's console pass. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { findOnPath } from "../../infra/setup/program.mjs";

/** A name that leads to this machine in the browser only: to the proxy it is a browser from elsewhere. */
export const otherName = "gpu-box.test";

export async function startBrowser(): Promise<Browser> {
  const executablePath = findOnPath("chromium");
  if (executablePath === undefined) {
    throw new Error(
      'There is no program "chromium" on PATH, and the status page is tested in a real browser. "npm test" installs it; by hand: apt-get install -y --no-install-recommends chromium',
    );
  }
  const asRoot = process.getuid?.() === 0;
  return await chromium.launch({
    executablePath,
    // Chromium's sandbox refuses to run as root, where containers and CI run their tests.
    args: [`--host-resolver-rules=MAP ${otherName} 127.0.0.1`, ...(asRoot ? ["--no-sandbox"] : [])],
  });
}

export interface Visit extends AsyncDisposable {
  readonly page: Page;
  /** Errors and warnings of the console, among them everything that the content security policy has refused. */
  readonly complaints: string[];
}

/** Opens a page in a profile of its own. */
export async function visit(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Visit> {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(url);
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}
