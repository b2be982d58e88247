// Making elements, and telling times.

// el("button", {class: "copy", onclick: f}, "Copy"): text stays text, whatever is in it.
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") Object.entries(value).forEach(([key, one]) => made.style.setProperty(key, one));
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export function milliseconds(microseconds) {
  const value = microseconds / 1000;
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

export function clock(microseconds) {
  return new Date(microseconds / 1000).toLocaleTimeString("en-GB");
}

export function count(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}

// For those who hear the page.
export function say(text) {
  document.getElementById("said").textContent = text;
}

export function copyButton(text, what) {
  const button = el("button", { class: "copy", type: "button", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      say(`Copied ${what}`);
    } catch {
      // Some browsers do not let a page write there: then the id is at least marked.
      getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = "Marked";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}

// An id that one click copies.
export function id(value, what) {
  return el("span", { class: "id" }, el("code", {}, value), copyButton(value, what));
}

// The arrow keys go through what matches `selector`; Tab goes on working as ever.
export function arrows(list, selector) {
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const all = [...list.querySelectorAll(selector)];
    const next = all[all.indexOf(document.activeElement) + step];
    if (!step || !next || !all.includes(document.activeElement)) return;
    next.focus();
    event.preventDefault();
  });
  return list;
}

const FIVE = ["gateway", "productpage", "details", "reviews", "ratings"];

// The same colour for a service and all its versions.
export function hue(workload) {
  const index = FIVE.indexOf(workload.split("-")[0]);
  return `hue hue-${index < 0 ? 5 : index}`;
}

export function verdict(trace) {
  const words = { whole: "✓ whole", broken: "✗ broken", arriving: "… arriving" };
  return el("span", { class: `verdict ${trace.state}` }, words[trace.state]);
}
