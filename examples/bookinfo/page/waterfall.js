// The spans of a trace on a time axis; each opens to show its ids, its headers and its tags.

import { arrows, el, hue, id, milliseconds } from "./dom.js";
import { passage } from "./headers.js";

const WAYS = { SERVER: "in", CLIENT: "out", INTERNAL: "·" };

// `open` is the id of the span that is open at first, `onopen` is told when that changes, and
// `scale` is how many microseconds the axis holds, if more than the trace lasts.
export function waterfall(trace, { open = null, onopen = () => {}, scale = trace.duration } = {}) {
  const whole = Math.max(scale, 1);
  const rows = trace.tree.map((span) => row(trace, span, whole));
  const show = (wanted) => {
    for (const { button, panel, span } of rows) {
      const isOpen = span.id === wanted;
      button.setAttribute("aria-expanded", isOpen);
      if (isOpen && !panel.hasChildNodes()) panel.append(...inside(trace, span));
      panel.hidden = !isOpen;
    }
  };
  for (const { button, span } of rows) {
    button.addEventListener("click", () => {
      const wanted = button.getAttribute("aria-expanded") === "true" ? null : span.id;
      show(wanted);
      onopen(wanted);
    });
  }
  show(open);
  const items = rows.map(({ button, panel }) => el("li", {}, button, panel));
  return arrows(el("div", { class: "waterfall" }, axis(whole), el("ol", {}, items)), ".span");
}

export function legend(tree) {
  const all = [
    el("span", {}, el("i", { class: "sample envoy" }), " Envoy's span"),
    tree.some((span) => span.by === "application")
      ? el("span", {}, el("i", { class: "sample application" }), " the application's own")
      : null,
    el("span", {}, el("b", {}, "in"), " a request that came, ", el("b", {}, "out"), " a call that left"),
  ];
  return el("p", { class: "legend soft" }, all);
}

function axis(whole) {
  const rough = whole / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const ticks = [];
  for (let at = 0; at <= whole * 0.97; at += step) {
    ticks.push(el("span", { style: { left: `${(100 * at) / whole}%` } }, `${+(at / 1000).toFixed(2)}`));
  }
  return el("div", { class: "axis", "aria-hidden": "true" }, el("div", {}, ticks), el("span", {}, "ms"));
}

function row(trace, span, whole) {
  const panel = el("div", { class: "panel", id: `panel-${trace.id}-${span.id}`, hidden: true });
  const button = el(
    "button",
    { type: "button", class: `span ${span.by} ${hue(span.workload)}`, "aria-controls": panel.id, "data-at": `${trace.id}-${span.id}` },
    el(
      "span",
      { class: "name", style: { "--depth": span.depth } },
      el("i", { class: "dot" }),
      el("strong", {}, span.workload),
      el("span", { class: "way" }, span.by === "application" ? "app" : (WAYS[span.kind] ?? "")),
      el("span", { class: "operation" }, span.operation),
      span.notes.map((note) => el("span", { class: "chip note" }, note)),
    ),
    el(
      "span",
      { class: "track", "aria-hidden": "true" },
      el("span", { class: "bar", style: { left: `${(100 * span.start) / whole}%`, width: `${(100 * span.duration) / whole}%` } }),
    ),
    el("span", { class: "took" }, milliseconds(span.duration)),
  );
  return { button, panel, span };
}

function inside(trace, span) {
  const tags = Object.entries(span.tags).filter(([, value]) => value !== "");
  return [
    el(
      "dl",
      { class: "ids" },
      pair("Span", id(span.id, "span id")),
      pair("Parent", parent(span)),
      pair("Trace", id(trace.id, "trace id")),
      span.requestId ? pair("x-request-id", id(span.requestId, "x-request-id")) : null,
      pair("From", `${span.by === "envoy" ? "Envoy's" : "the application's"} ${span.kind.toLowerCase()} span`),
    ),
    passage(span),
    el(
      "details",
      { "data-at": `tags-${span.id}` },
      el("summary", {}, `Tags (${tags.length})`),
      el("table", {}, el("tbody", {}, tags.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value))))),
    ),
  ];
}

function parent(span) {
  if (!span.parent) return "none: it is a root";
  return [id(span.parent, "parent id"), span.orphan ? el("span", { class: "chip note" }, "nobody reported it") : ""];
}

function pair(name, ...value) {
  return el("div", {}, el("dt", {}, name), el("dd", {}, ...value));
}
