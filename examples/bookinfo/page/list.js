// The list of traces, the newest first.

import { arrows, clock, count, el, hue, milliseconds, verdict } from "./dom.js";

let onlyBroken = false;

export async function showList({ traces, count: total, version, refresh }) {
  const broken = traces.filter((trace) => trace.state === "broken");
  const shown = onlyBroken ? broken : traces;
  const filter = (event) => {
    onlyBroken = event.target.checked;
    refresh();
  };
  return {
    title: "Traces",
    from: [version, onlyBroken],
    make: () => [
      el(
        "div",
        { class: "top" },
        el("h1", {}, "Traces"),
        el("p", { class: "soft" }, summary(traces, broken, total)),
        broken.length || onlyBroken
          ? el("label", { class: "filter" }, el("input", { type: "checkbox", "data-at": "filter", checked: onlyBroken, onchange: filter }), " only broken ones")
          : null,
      ),
      shown.length ? list(shown) : empty(),
    ],
  };
}

function summary(traces, broken, total) {
  const shown = total > traces.length ? `the newest ${traces.length} of ${total}` : count(total, "trace");
  return traces.length ? `${shown}, ${broken.length ? `${broken.length} broken` : "none broken"}` : "";
}

function empty() {
  if (onlyBroken) return el("p", { class: "empty" }, "No trace is broken.");
  return el(
    "div",
    { class: "empty" },
    el("p", {}, "No trace yet."),
    el("p", {}, "Look at the product page, and its trace is here a moment later."),
  );
}

function list(traces) {
  const longest = Math.max(...traces.map((trace) => trace.duration), 1);
  return arrows(el("ol", { class: "traces" }, traces.map((trace) => el("li", {}, row(trace, longest)))), "a");
}

function row(trace, longest) {
  const what = trace.problems.length
    ? el("span", { class: "problems" }, trace.problems.join(", "))
    : trace.services.map((name) => el("span", { class: `service ${hue(name)}` }, name));
  return el(
    "a",
    { href: `#trace=${trace.id}`, "data-at": trace.id },
    verdict(trace),
    el(
      "span",
      { class: "request" },
      el("strong", {}, trace.request),
      trace.without ? el("span", { class: "chip" }, "without meshtrace") : null,
      trace.notes.map((note) => el("span", { class: "chip note" }, note)),
    ),
    el("span", { class: "services" }, what),
    el("span", { class: "counts" }, `${count(trace.services.length, "service")} · ${count(trace.spans, "span")}`),
    el(
      "span",
      { class: "length" },
      el("span", { class: "bar", "aria-hidden": "true", style: { width: `${(100 * trace.duration) / longest}%` } }),
      el("span", {}, milliseconds(trace.duration)),
    ),
    el("time", {}, clock(trace.start)),
  );
}
