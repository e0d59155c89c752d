/** On small screens the panel is a sheet below the map, which can be made larger. */

import { byId } from "./dom";

/** Let the sheet be made larger and smaller; `onChange` is told afterwards. */
export function listenForSheet(onChange: () => void): void {
  const sheet = byId<HTMLButtonElement>("sheet");
  sheet.addEventListener("click", () => {
    const large = document.body.classList.toggle("sheet-large");
    sheet.setAttribute("aria-expanded", String(large));
    onChange();
  });
}
