/** What the page says of itself: what it is doing, what went wrong, and what to try. */

import { button, byId, el } from "./dom";
import { ViewerError, type Trouble } from "./model";

const ADVICE: Record<Trouble, string> = {
  missing: "Choose another layer, tile or year, or ask whoever keeps the catalog.",
  refused: "Ask whoever keeps the catalog whether it is public.",
  unreachable: "Check the network and the address, then try again.",
  malformed: "Try another tile; whoever keeps the catalog can check it with betaearth audit.",
  unranged: "No tile of this host can be drawn until it does. `betaearth serve` shows a copy of the catalog meanwhile.",
};
/** Sentences that stand below each other; of more, the newest. */
const SHOWN = 4;

/** Something that can be done about it. */
type Act = () => void;

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

  /** Say something in place of words, if nothing else was said meanwhile. */
  replace(words: string, text: string): void {
    if (this.status.textContent === words) this.say(text);
  }

  /** What was begun is done. */
  done(text: string): void {
    this.main.dataset.state = "ready";
    this.say(text);
  }

  /** Something could not be had, and the rest goes on. */
  warn(text: string, again?: Act): void {
    this.show(text, "", again);
  }

  /** Something went wrong; words that nobody planned are shown as they are. */
  fail(error: unknown, again?: Act, advice?: string): void {
    const message = error instanceof Error ? error.message : String(error);
    const planned = error instanceof ViewerError ? ADVICE[error.kind] : "Load the page anew; if it stays, report it.";
    this.show(message, advice ?? planned, again);
    this.main.dataset.state = "error";
    this.say("");
    // A mistake of the page's own leaves its trace for whoever looks.
    if (!(error instanceof ViewerError)) console.error(error);
  }

  private show(message: string, advice: string, again?: Act): void {
    this.take(this.told().find(({ dataset }) => dataset["message"] === message));
    const entry = el("div", { class: "trouble", "data-message": message });
    const act = (next: Act) => () => {
      this.take(entry);
      next();
    };
    const retry = again === undefined ? null : button("Try again", act(again), { class: "quiet" });
    const dismiss = button("Dismiss", act(() => undefined), { class: "quiet" });
    entry.append(el("p", {}, message), ...(advice === "" ? [] : [el("p", { class: "advice" }, advice)]));
    entry.append(el("div", { class: "actions" }, retry, dismiss));
    this.error.append(entry);
    for (const old of this.told().slice(0, -SHOWN)) this.take(old);
    this.error.hidden = false;
  }

  private told(): HTMLElement[] {
    return [...this.error.querySelectorAll<HTMLElement>(".trouble")];
  }

  private take(entry: HTMLElement | undefined): void {
    entry?.remove();
    this.error.hidden = this.told().length === 0;
  }

  private clear(): void {
    this.error.replaceChildren();
    this.error.hidden = true;
  }
}
