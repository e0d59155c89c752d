/** Building the page out of elements: text is always text, and links lead to http(s) alone. */

type Value = string | number | boolean | undefined;
type Child = Node | string | null;

/** Make an element; attributes that are false or undefined are left out, true ones are empty. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => child !== null));
  return element;
}

/** Make a button that does something. */
export function button(
  label: string,
  act: () => void,
  attributes: Record<string, Value> = {},
): HTMLButtonElement {
  const element = el("button", { type: "button", ...attributes }, label);
  element.addEventListener("click", act);
  return element;
}

/** Find an element of the page by its id; the page is ours, so a missing one is a mistake of ours. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element #${id}`);
  return element as T;
}

/** Resolve an address; null where it is none, or none of the web: a catalog is a stranger's text. */
export function webAddress(href: string, base?: string): string | null {
  try {
    const url = new URL(href, base);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

/** Link to another page, or give the bare text where the address is none of the web. */
export function outward(text: string, href: string, base?: string): Node {
  const address = webAddress(href, base);
  if (address === null) return document.createTextNode(text);
  return el("a", { href: address, rel: "noopener noreferrer", target: "_blank" }, text);
}

/** Set a description's paragraphs; of Markdown only `code` and **strong** are understood. */
export function paragraphs(text: string): HTMLParagraphElement[] {
  return text
    .split(/\n{2,}/)
    .filter((part) => part.trim() !== "")
    .map((part) => el("p", {}, ...part.split(/(\*\*[^*]+\*\*|`[^`]+`)/).map(inline)));
}

function inline(part: string): Node | string {
  if (part.startsWith("**") && part.endsWith("**") && part.length > 4) return el("strong", {}, part.slice(2, -2));
  if (part.startsWith("`") && part.endsWith("`") && part.length > 2) return el("code", {}, part.slice(1, -1));
  return part;
}

/** A field with its label in front. */
export function labelled(label: string, control: HTMLElement, id: string): HTMLElement {
  control.id = id;
  return el("div", { class: "field" }, el("label", { for: id }, label), control);
}

/** A button that copies a text, and says whether it could. */
export function copyButton(text: () => string, what: string): HTMLButtonElement {
  const element = button("Copy", () => void copy(), { class: "copy", "aria-label": `Copy ${what}` });
  const copy = async (): Promise<void> => {
    const done = await copied(text());
    element.textContent = done ? "Copied" : "Select and copy by hand";
    window.setTimeout(() => (element.textContent = "Copy"), 1600);
  };
  return element;
}

async function copied(text: string): Promise<boolean> {
  try {
    // Only secure pages and localhost have a clipboard; elsewhere it is undefined.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** Bytes in words: `1.4 MB`. */
export function size(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** A number and its noun: `1 scene`, `12 scenes`. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}
