// The headers that each hop saw: through one Envoy, and through one service.

import { el } from "./dom.js";

// Not handed on by a service, but made anew for every call.
const OF_ONE_CALL = new Set(["host", "user-agent", "x-envoy-attempt-count"]);

// What came to the Envoy of this span, and what it passed on.
export function passage(span) {
  const names = [...new Set([...Object.keys(span.came), ...Object.keys(span.went)])].sort(byMeaning);
  if (!names.length) return el("p", { class: "soft" }, reasonForNone(span));
  const [came, went] =
    span.workload === "gateway"
      ? ["came to the gateway", "passed on"]
      : span.kind === "SERVER"
        ? ["came to the sidecar", "given to the service"]
        : ["sent by the service", "passed on by the sidecar"];
  const rows = names.map((name) => {
    const [before, after] = [span.came[name], span.went[name]];
    const changed = before !== after;
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, name),
      cell(before ?? "–", came, before ? "" : "soft"),
      cell(changed ? (after ?? "–") : "same", went, changed ? "changed" : "soft"),
    );
  });
  return table("Headers", ["header", came, went], rows);
}

function reasonForNone(span) {
  if (span.by === "application") return "Headers are noted by the Envoys: see their spans around this one.";
  if (span.workload === "gateway") return "Headers: see the gateway's call, the span below.";
  return "The headers of this request were not noted.";
}

// For each service in `trees`: what it was given, and what of that it put on each of its calls.
export function hops(trees) {
  const spans = trees.flat().filter((span) => span.by === "envoy" && span.workload !== "gateway");
  const services = [...new Set(spans.map((span) => span.workload))];
  return services
    .map((name) => hop(name, spans.filter((span) => span.workload === name)))
    .filter((made) => made);
}

function hop(service, spans) {
  const got = spans.find((span) => span.kind === "SERVER" && noted(span.went))?.went;
  const calls = spans.filter((span) => span.kind === "CLIENT" && noted(span.came));
  if (!got || !calls.length) return null;
  const names = [...new Set([got, ...calls.map((span) => span.came)].flatMap(Object.keys))]
    .filter((name) => !OF_ONE_CALL.has(name))
    .sort(byMeaning);
  const titles = calls.map((span) => `to ${span.operation.split(":")[0]}`);
  const rows = names.map((name) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, name),
      cell(got[name] ?? "–", "was given", got[name] ? "" : "soft"),
      calls.map((span, index) => sent(name, got[name], span.came[name], titles[index])),
    ),
  );
  return table(service, ["header", "was given", ...titles.map((title) => `sent ${title}`)], rows);
}

function sent(name, given, value, title) {
  if (value === given) return cell("✓ same", title, "kept");
  if (value === undefined) return cell("✗ not sent", title, "lost");
  if (given === undefined) return cell(`+ ${value}`, title, "kept");
  // Where this one is missing Envoy adds it before it notes what came; no service here makes one.
  if (name === "x-request-id") return cell("✗ not sent (a new one)", title, "lost");
  return cell(`✗ ${value}`, title, "lost");
}

function noted(headers) {
  return Object.keys(headers).length > 0;
}

function table(caption, titles, rows) {
  return el(
    "table",
    { class: "headers" },
    el("caption", {}, caption),
    el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, rows),
  );
}

// On a phone every cell stands on a line of its own, and says what it is.
function cell(text, title, kind) {
  return el("td", { class: kind || null, "data-title": title }, text);
}

const ORDER = ["x-request-id", "traceparent", "tracestate", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "end-user"];

function byMeaning(one, other) {
  const [first, second] = [one, other].map((name) => (ORDER.indexOf(name) + 1 || ORDER.length + 1));
  return first - second || (one < other ? -1 : 1);
}
