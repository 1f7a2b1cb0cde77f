// Drives a real Chromium: opens the page, acts as its user, and reads what it shows.

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { Client } from "@langchain/langgraph-sdk";
import puppeteer from "puppeteer-core";
import { startSite } from "./site.js";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const WAIT = { timeout: 60_000 };

export const url = process.env.LANGOPEN_TEST_URL?.replace(/\/$/, "");
if (!url) throw new Error("LANGOPEN_TEST_URL is not set: start the suite with tests/with_server.py, see README.md");

export const client = new Client({ apiUrl: url, apiKey: null, callerOptions: { maxRetries: 0 } });

function chromium() {
  const folders = process.env.PATH.split(delimiter);
  const places = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = process.env.LANGOPEN_TEST_CHROMIUM ?? places.find(existsSync);
  if (!found) throw new Error(`no ${NAMES.join(", ")} in PATH: install one, or set LANGOPEN_TEST_CHROMIUM`);
  return found;
}

export async function startBrowser() {
  const site = await startSite();
  const browser = await puppeteer.launch({
    executablePath: chromium(),
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    timeout: 120_000,
    protocolTimeout: 180_000,
  });
  return {
    /** Opens the page in a profile of its own, talking to this graph. */
    async open(graph, options = {}) {
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      const tab = new Tab(page);
      await page.goto(`${site.url}?${new URLSearchParams({ url, graph, ...options })}`, WAIT);
      await page.waitForSelector("#text", WAIT);
      return tab;
    },
    async stop() {
      await browser.close();
      site.stop();
    },
  };
}

class Tab {
  /** The page's errors and requests. */
  complaints = [];
  requests = [];

  constructor(page) {
    this.page = page;
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => message.type() === "error" && this.complaints.push(message.text()));
    page.on("request", (request) => this.requests.push(request));
  }

  get threadId() {
    return new URL(this.page.url()).searchParams.get("thread");
  }

  async send(text) {
    await this.page.type("#text", text);
    await this.page.click("#send");
  }

  click(selector) {
    return this.page.locator(selector).setTimeout(WAIT.timeout).click();
  }

  /** Waits until the function, which runs in the page, returns a true value. */
  async until(check, ...args) {
    try {
      return await this.page.waitForFunction(check, { ...WAIT, polling: 30 }, ...args);
    } catch (error) {
      const shown = await this.page.evaluate(() => document.body.innerText);
      throw new Error(`${error.message}\nwaiting for ${check}\n${this.complaints.join("\n")}\nthe page shows:\n${shown}`);
    }
  }

  /** Waits until nothing streams and the last message is this one. */
  settled(text) {
    return this.until((wanted) => {
      const last = [...document.querySelectorAll(".message .text")].at(-1)?.textContent;
      return document.querySelector("#status")?.textContent === "idle" && (wanted === undefined || last === wanted);
    }, text);
  }

  shows(selector, text) {
    return this.until((where, wanted) => document.querySelector(where)?.textContent.includes(wanted), selector, text);
  }

  texts(selector) {
    return this.page.$$eval(selector, (elements) => elements.map((element) => element.textContent));
  }

  messages() {
    return this.texts(".message .text");
  }

  seen() {
    return this.page.evaluate(() => window.seen);
  }

  close() {
    return this.page.browserContext().close();
  }
}
