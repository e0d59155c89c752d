/** Fields for whole numbers from 0 on: what cannot be meant is said beside them, never passed over. */

import { el, labelled } from "./dom";

/** A field: its label, its id on the page, and what its number counts. */
export interface NumberField {
  readonly label: string;
  readonly id: string;
  /** `column`, `band`. */
  readonly what: string;
}

export class Numbers {
  readonly element: HTMLElement;
  private readonly controls: readonly HTMLInputElement[];
  private readonly note = el("p", { class: "warning", role: "alert", hidden: true });
  /** What holds, whatever was typed since. */
  private shown: readonly number[] = [];

  constructor(
    legend: string,
    private readonly fields: readonly NumberField[],
    ...beside: readonly HTMLElement[]
  ) {
    this.controls = fields.map(() => el("input", { type: "number", min: 0, max: 0, step: 1, inputmode: "numeric" }));
    const entries = fields.map(({ label, id }, place) => labelled(label, this.controls[place]!, id));
    this.element = el("fieldset", {}, el("legend", {}, legend), el("div", { class: "row" }, ...entries, ...beside), this.note);
  }

  /** Do something whenever a number is `input`, key by key, or its `change` is done. */
  on(event: "input" | "change", act: () => void): void {
    for (const control of this.controls) control.addEventListener(event, act);
  }

  /** Empty the fields, and take numbers up to these from now on. */
  limit(largest: readonly number[]): void {
    this.controls.forEach((control, place) => {
      control.max = String(largest[place]!);
      control.value = "";
    });
    this.shown = [];
    this.tell(null);
  }

  /** Show numbers that hold. */
  show(values: readonly number[]): void {
    const same = values.length === this.shown.length && values.every((value, place) => value === this.shown[place]);
    // Who types a number, or is told of one, goes on with it.
    if (same && (!this.note.hidden || this.element.contains(document.activeElement))) return;
    this.shown = values;
    this.tell(null);
    this.restore();
  }

  /** Show the numbers that hold in place of what was typed. */
  restore(): void {
    this.shown.forEach((value, place) => fill(this.controls[place]!, value));
  }

  /**
   * Take the numbers; what is wrong with them is told.
   *
   * @param unfinished a field may be empty yet, which is nothing to tell
   * @returns null unless all are good
   */
  given({ unfinished = false } = {}): number[] | null {
    const wrong = this.controls.findIndex((control) => !isGood(control) && !(unfinished && isEmpty(control)));
    this.tell(wrong < 0 ? null : wrong);
    return this.controls.every(isGood) ? this.controls.map(({ value }) => Number(value)) : null;
  }

  private tell(wrong: number | null): void {
    this.controls.forEach((control, place) => control.setAttribute("aria-invalid", String(place === wrong)));
    this.note.textContent = wrong === null ? "" : complaint(this.fields[wrong]!, this.controls[wrong]!);
    this.note.hidden = wrong === null;
  }
}

function complaint({ label, what }: NumberField, { value, max }: HTMLInputElement): string {
  if (value === "") return `${label}: give a whole number from 0 to ${max}.`;
  return `There is no ${what} ${value}: ${what}s go from 0 to ${max}.`;
}

function isGood(control: HTMLInputElement): boolean {
  return control.value !== "" && control.validity.valid;
}

/** What is typed and is no number makes an empty value, too. */
function isEmpty(control: HTMLInputElement): boolean {
  return control.value === "" && !control.validity.badInput;
}

function fill(control: HTMLInputElement, value: number): void {
  const typing = document.activeElement === control && control.value !== "";
  if (!typing || Number(control.value) !== value) control.value = String(value);
}
