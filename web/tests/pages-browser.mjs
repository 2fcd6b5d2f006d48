// A headless Chromium and pages that are watched: every test ends with "no
// console error, no exception, no request to another origin".
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS });

/** Opens pages in contexts of their own and closes them all. */
export class Pages {
  #browser; #contexts = []; #faults = [];

  constructor(browser) { this.#browser = browser; }

  /** A fresh visitor. `expected`: console errors that belong to the test. */
  async open(url, { expected = /^$/, init, ...options } = {}) {
    const context = await this.#browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-US', ...options });
    this.#contexts.push(context);
    if (init) await context.addInitScript(init);
    const { origin } = new URL(url);
    const page = await context.newPage();
    page.on('console', (message) => { if (message.type() === 'error' && !expected.test(message.text())) this.#faults.push(`console: ${message.text()}`); });
    page.on('pageerror', (error) => this.#faults.push(`exception: ${error.message}`));
    page.on('request', (request) => { if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== origin) this.#faults.push(`foreign request: ${request.url()}`); });
    await page.goto(url);
    return page;
  }

  /** Closes everything; fails when something went wrong on any page. */
  async close() {
    const faults = this.#faults.splice(0);
    await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
    assert.deepEqual(faults, []);
  }
}

/** Waits until the page is joined to its room. */
export const online = (page) => page.waitForFunction(() => document.querySelector('#link')?.dataset.state === 'online' && globalThis.barrage?.room?.joined);

/** Waits for a line of the chat list that contains `text`. */
export const line = (page, text) => page.locator('#chat-list .line .text', { hasText: text }).first().waitFor();

/** Waits until the overlay has shown at least `count` texts since the page began. */
export const flown = (page, count) => page.waitForFunction((least) => globalThis.barrage.overlay.stats.shown >= least, count);

/** Writes and sends by the keyboard. */
export async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}
