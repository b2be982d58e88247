// Which view is shown, as the address says (#, #trace=ID, #trace=ID&span=ID, #compare), and the
// asking again that keeps it up to date.

import { showComparison } from "./compare.js";
import { el } from "./dom.js";
import { showList } from "./list.js";
import { showTrace } from "./trace.js";

const VIEWS = { list: showList, trace: showTrace, compare: showComparison };
const EVERY = 1000;
const EVERY_WHEN_GONE = 3000;

const main = document.getElementById("main");
const gone = document.getElementById("gone");
let known = null; // what /api/traces said last
let drawn = null; // what the view was drawn from
let turn = 0;
let next = null;

function asked() {
  const hash = new URLSearchParams(location.hash.slice(1));
  const page = ["trace", "compare"].find((name) => hash.has(name)) ?? "list";
  return { page, trace: hash.get("trace"), span: hash.get("span") };
}

async function ask(path, options) {
  const response = await fetch(path, options);
  if (!response.ok) throw new Error(`${path} is answered with ${response.status}`);
  return response.status === 204 ? null : response.json();
}

async function refresh() {
  const mine = ++turn;
  clearTimeout(next);
  try {
    const news = await ask(`/api/traces?seen=${known?.version ?? ""}`);
    known = news ?? known;
    const view = await VIEWS[asked().page]({ ...known, ...asked(), asked, ask, refresh });
    if (mine !== turn) return;
    gone.hidden = true;
    showFacts(known.facts);
    draw(view);
  } catch (error) {
    if (mine !== turn) return;
    showGone(error);
  }
  next = setTimeout(refresh, gone.hidden ? EVERY : EVERY_WHEN_GONE);
}

function draw(view) {
  const from = JSON.stringify([asked().page, asked().trace, view.from]);
  if (from === drawn) return;
  drawn = from;
  document.title = `${view.title} - Bookinfo`;
  // Drawing anew must not take away what somebody is at.
  const at = document.activeElement?.dataset?.at;
  const open = [...main.querySelectorAll("details[data-at][open]")].map((one) => one.dataset.at);
  main.replaceChildren(...view.make());
  for (const one of main.querySelectorAll("details[data-at]")) one.open ||= open.includes(one.dataset.at);
  if (at) main.querySelector(`[data-at="${CSS.escape(at)}"]`)?.focus({ preventScroll: true });
}

function showFacts(facts) {
  const said = [`Envoy ${facts.envoy}`, facts.tracer, `sampling ${facts.sampling} %`, `meshtrace ${facts.without ? "off" : "on"}`];
  document.getElementById("facts").textContent = said.join(" · ");
  const shop = document.getElementById("shop");
  shop.href = facts.shop;
  shop.hidden = false;
}

function showGone(error) {
  // A fetch that reaches nobody gives a TypeError.
  const nobody = error instanceof TypeError;
  const why = nobody ? "The collector does not answer: the demo has ended." : `${error.message}.`;
  const below = known ? "Below is what it said last. " : "";
  gone.replaceChildren(el("strong", {}, why), ` ${below}Trying again …`);
  gone.hidden = false;
  if (!known) main.replaceChildren(el("p", { class: "empty" }, "Start it with ", el("code", {}, "make demo"), "."));
}

function markPage() {
  const here = asked().page === "compare" ? "compare" : "list";
  for (const link of document.querySelectorAll("nav [data-page]")) {
    if (link.dataset.page === here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function goThere() {
  const row = main.querySelector('.span[aria-expanded="true"]');
  if (row && asked().span) row.scrollIntoView({ block: "center" });
  else scrollTo(0, 0);
}

addEventListener("hashchange", async () => {
  markPage();
  drawn = null;
  await refresh();
  goThere();
  main.focus({ preventScroll: true });
});
document.addEventListener("visibilitychange", () => document.hidden || refresh());
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address is for the views
  main.focus();
});

markPage();
refresh().then(goThere);
