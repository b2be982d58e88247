// The same request in two meshes, with meshtrace and without, side by side.

import { count, el, milliseconds, verdict } from "./dom.js";
import { detail, HEADERS, tablesOf } from "./trace.js";
import { legend, waterfall } from "./waterfall.js";

const JASON = "jason";

export async function showComparison(context) {
  const state = await context.ask("/api/compare");
  const sides = state.state === "done" ? await Promise.all(state.sides.map((side) => filled(side, context))) : [];
  const begin = async (user) => {
    await context.ask("/api/compare", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ user }),
    });
    context.refresh();
  };
  return {
    title: "With and without",
    from: [state, sides.map((side) => side.traces.map((trace) => [trace.id, trace.spans, trace.state]))],
    make: () => [
      el(
        "div",
        { class: "top" },
        el("h1", {}, "With and without meshtrace"),
        el(
          "p",
          { class: "soft intro" },
          "One request for the product page, made in two meshes. All that differs is ",
          el("code", {}, "MESHTRACE_DISABLED=1"),
          " in the services of one of them. The second mesh starts when you first ask.",
        ),
        el(
          "p",
          { class: "buttons" },
          ask("as jason", state, () => begin(JASON)),
          ask("as a guest", state, () => begin(null)),
        ),
      ),
      el("p", { role: "status", class: "soft" }, words(state)),
      sides.length ? el("div", { class: "sides" }, sides.map((side) => show(side, scaleOf(sides)))) : "",
    ],
  };
}

function ask(as, state, begin) {
  const attributes = { type: "button", "data-at": as, onclick: begin, "aria-disabled": state.state === "busy" ? "true" : null };
  return el("button", attributes, `Ask ${as}`);
}

function words(state) {
  if (state.state === "busy") return `${state.doing} …`;
  if (state.state === "failed") return el("span", { class: "problems" }, `That did not work: ${state.why}`);
  return state.state === "done" ? `Asked as ${state.user ?? "a guest"}.` : "";
}

async function filled(side, context) {
  const traces = await Promise.all(side.traces.map((trace) => detail(trace, context)));
  return { ...side, traces: traces.filter((trace) => trace) };
}

// Both sides on one time axis, which begins with the first span of each.
function scaleOf(sides) {
  return Math.max(...sides.map((side) => Math.max(...side.traces.map((trace) => offset(side, trace) + trace.duration), 1)));
}

function offset(side, trace) {
  return trace.start - Math.min(...side.traces.map((one) => one.start));
}

function show(side, scale) {
  const spans = side.traces.reduce((sum, trace) => sum + trace.spans, 0);
  const late = side.traces.some((trace) => trace.notes.includes("fault: delayed"));
  return el(
    "section",
    { class: "side" },
    el("h2", {}, side.without ? "Without meshtrace" : "With meshtrace"),
    el("p", {}, el("strong", {}, count(side.traces.length, "trace")), ` · ${count(spans, "span")} · ${milliseconds(side.took)}`),
    el("p", { class: "soft" }, `status ${side.status}, reviews by ${side.reviews ?? "nobody"}${late ? ", ratings late as jason's route says" : ""}`),
    side.traces.length ? legend(side.traces.flatMap((trace) => trace.tree)) : el("p", { class: "empty" }, "Not sampled: no span."),
    side.traces.map((trace) => piece(side, trace, scale)),
    side.traces.length ? folded(side) : "",
  );
}

// On a phone the two sides stand one below the other: there the tables would part them.
function folded(side) {
  const attributes = { class: "hops", "data-at": `hops-${side.without}`, open: innerWidth > 640 };
  return el("details", attributes, el("summary", {}, HEADERS), tablesOf(side.traces.map((trace) => trace.tree)));
}

function piece(side, trace, scale) {
  const later = offset(side, trace);
  const tree = trace.tree.map((span) => ({ ...span, start: span.start + later }));
  return el(
    "div",
    { class: "piece" },
    el("p", {}, verdict(trace), " ", el("a", { href: `#trace=${trace.id}` }, trace.id.slice(0, 8), "…"), el("span", { class: "soft" }, ` ${trace.problems.join(", ")}`)),
    waterfall({ ...trace, tree }, { scale }),
  );
}
