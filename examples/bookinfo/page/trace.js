// One trace: what it is, its spans on a time axis, what each service did with the headers, its log.

import { clock, count, el, id, milliseconds, verdict } from "./dom.js";
import { hops } from "./headers.js";
import { legend, waterfall } from "./waterfall.js";

const SETTLED = 10_000_000; // microseconds after which nothing more is added to a trace
const kept = new Map(); // the details of traces by id, and the version of the list they belong to

export async function detail(trace, { ask, version }) {
  const before = kept.get(trace);
  const old = before && Date.now() * 1000 - before.detail.start > SETTLED;
  if (before?.version === version && old) return before.detail;
  const found = await ask(`/api/trace/${encodeURIComponent(trace)}`);
  if (!found.error) kept.set(trace, { version, detail: found });
  return found.error ? null : found;
}

export async function showTrace(context) {
  const trace = await detail(context.trace, context);
  if (!trace) return missing(context.trace);
  const open = (span) => {
    const address = `#trace=${trace.id}${span ? `&span=${span}` : ""}`;
    history.replaceState(null, "", address);
  };
  return {
    title: `${trace.request} ${trace.id.slice(0, 8)}`,
    from: [trace.tree.length, trace.state, trace.log.length, trace.tree.filter((span) => Object.keys(span.went).length).length],
    make: () => [
      el("p", { class: "back" }, el("a", { href: "#" }, "← Traces")),
      heading(trace),
      el("section", { "aria-label": "Spans" }, legend(trace.tree), waterfall(trace, { open: context.asked().span, onopen: open })),
      el("section", { class: "hops" }, el("h2", {}, HEADERS), tablesOf([trace.tree])),
      log(trace.log),
    ],
  };
}

function missing(trace) {
  return {
    title: "No such trace",
    from: "missing",
    make: () => [
      el(
        "div",
        { class: "empty" },
        el("p", {}, "No trace ", el("code", {}, trace), " here."),
        el("p", {}, "It may be on its way, or be of an earlier run of the demo. ", el("a", { href: "#" }, "All traces")),
      ),
    ],
  };
}

function heading(trace) {
  const requests = [...new Set(trace.tree.map((span) => span.requestId).filter(Boolean))];
  return el(
    "div",
    { class: "top trace" },
    el("h1", {}, trace.request),
    verdict(trace),
    trace.without ? el("span", { class: "chip" }, "without meshtrace") : null,
    el(
      "p",
      { class: "soft" },
      [clock(trace.start), milliseconds(trace.duration), count(trace.services.length, "service"), count(trace.spans, "span")].join(" · "),
    ),
    trace.problems.length ? el("ul", { class: "problems" }, trace.problems.map((problem) => el("li", {}, problem))) : null,
    el(
      "dl",
      { class: "ids" },
      el("div", {}, el("dt", {}, "Trace"), el("dd", {}, id(trace.id, "trace id"))),
      requests.map((request) => el("div", {}, el("dt", {}, "x-request-id"), el("dd", {}, id(request, "x-request-id")))),
    ),
  );
}

export const HEADERS = "Headers, service by service";

export function tablesOf(trees) {
  const tables = hops(trees).map((table) => el("div", { class: "wide" }, table));
  const none = "No service here was given a request and made a call for it in this trace.";
  return tables.length ? tables : [el("p", { class: "soft" }, none)];
}

function log(lines) {
  if (!lines.length) return "";
  return el(
    "section",
    {},
    el("h2", {}, "Log lines with this trace id"),
    el("pre", { class: "wide", tabindex: "0", "aria-label": "Log lines" }, lines.join("\n")),
  );
}
