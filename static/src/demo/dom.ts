// Helpers for the document.

/** Returns the element with an id. Throws if the page has none. */
export function need<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as unknown as T;
}

/** Sets the text of an element if it differs, so that a live region announces nothing twice. */
export function put(target: string | Element, text: string): void {
  const element = typeof target === "string" ? need(target) : target;
  if (element.textContent !== text) element.textContent = text;
}

export function html<K extends keyof HTMLElementTagNameMap>(
  name: K,
  className = "",
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  name: K,
  attributes: Record<string, string | number> = {},
  ...children: (Node | string)[]
): SVGElementTagNameMap[K] {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

export const click = (id: string, then: () => void): void =>
  need(id).addEventListener("click", then);

/**
 * Enables or disables a button. A focused button is only marked as disabled until it loses the
 * focus: otherwise the keyboard would lose its place.
 */
export function enable(id: string, on: boolean): void {
  const button = need<HTMLButtonElement>(id);
  if (document.activeElement === button) {
    button.setAttribute("aria-disabled", String(!on));
    button.onblur = () => enable(id, button.getAttribute("aria-disabled") !== "true");
    return;
  }
  button.onblur = null;
  button.removeAttribute("aria-disabled");
  button.disabled = !on;
}

/** Calls `then` with the text of a submitted field, trimmed, unless it is empty. */
export function onSubmit(
  form: string,
  field: string,
  then: (text: string, input: HTMLInputElement) => void,
): void {
  need(form).addEventListener("submit", (event) => {
    event.preventDefault();
    const input = need<HTMLInputElement>(field);
    const text = input.value.trim();
    if (text) then(text, input);
  });
}
