/** What the page says of itself: what it is doing, what went wrong, and what to try. */

import { button, byId, el } from "./dom";
import { ViewerError, type Trouble } from "./model";

const ADVICE: Record<Trouble, string> = {
  missing: "Choose another layer, tile or year, or ask whoever keeps the catalog.",
  refused: "Ask whoever keeps the catalog whether it is public.",
  unreachable: "Check the network and the address, then try again.",
  malformed: "Try another tile; whoever keeps the catalog can check it with betaearth audit.",
};

export class Messages {
  private readonly main = document.querySelector("main")!;
  private readonly status = byId("status");
  private readonly error = byId("error");

  /** Something was begun. */
  begin(): void {
    this.clear();
    this.main.dataset.state = "loading";
  }

  say(text: string): void {
    this.status.textContent = text;
  }

  /** What was begun is done. */
  done(text: string): void {
    this.main.dataset.state = "ready";
    this.say(text);
  }

  /** Something could not be had, and the rest goes on. */
  warn(text: string): void {
    this.show(text);
  }

  /** Something went wrong; words that nobody planned are shown as they are. */
  fail(error: unknown, again?: () => void, advice?: string): void {
    const message = error instanceof Error ? error.message : String(error);
    const planned = error instanceof ViewerError ? ADVICE[error.kind] : "Load the page anew; if it stays, report it.";
    this.show(message, advice ?? planned, again);
    this.main.dataset.state = "error";
    this.say("");
    // A mistake of the page's own leaves its trace for whoever looks.
    if (!(error instanceof ViewerError)) console.error(error);
  }

  private show(message: string, advice = "", again?: () => void): void {
    const dismiss = button("Dismiss", () => this.clear(), { class: "quiet" });
    const actions = el("div", { class: "actions" }, again === undefined ? null : button("Try again", again, { class: "quiet" }), dismiss);
    this.error.replaceChildren(el("p", {}, message), advice === "" ? "" : el("p", { class: "advice" }, advice), actions);
    this.error.hidden = false;
  }

  private clear(): void {
    this.error.replaceChildren();
    this.error.hidden = true;
  }
}
