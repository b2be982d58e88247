// Node's fetch, headers kept for the calls; the fault: in a variable that requests share.
const http = require("node:http");
const { AsyncLocalStorage } = require("node:async_hooks");

const [port, variant] = process.argv.slice(2);
const COPIED = ["x-request-id", "traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid",
  "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"];

const storage = new AsyncLocalStorage();
let kept = {};

async function call(url) {
  const headers = variant === "correct" ? storage.getStore() : kept;
  await (await fetch(url, { headers })).text();
}

http.createServer((request, response) => {
  kept = Object.fromEntries(COPIED.filter((name) => request.headers[name])
    .map((name) => [name, request.headers[name]]));
  storage.run(kept, async () => {
    await call("http://reviews:9080/reviews/0");
    await call("http://details:9080/details/0");
    response.end("{}");
  });
}).listen(Number(port));
