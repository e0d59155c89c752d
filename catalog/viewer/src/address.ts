/** The page's address, which names the view, and the browser's history of views. */

import { formatState, parseState, type ViewState } from "./state";

export class Address {
  /** A view that was gone to and never arrived at still begins an entry: the next one that is written takes it. */
  private owed = false;

  constructor(onGone: (state: ViewState) => void) {
    window.addEventListener("popstate", () => {
      this.owed = false;
      onGone(parseState(location.hash));
    });
  }

  /** The next view that is written is one to come back from. */
  remember(): void {
    this.owed = true;
  }

  /** Name a view that is shown. */
  write(state: ViewState): void {
    const { owed } = this;
    this.owed = false;
    const hash = formatState(state);
    if (hash === location.hash) return;
    const address = hash === "" ? location.pathname + location.search : hash;
    if (owed) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
  }
}
