// Node's http module, headers copied by hand; the fault: one call is not given them.
const http = require("node:http");

const [port, variant] = process.argv.slice(2);
const COPIED = ["x-request-id", "traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid",
  "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"];

function copied(request) {
  const headers = {};
  for (const name of COPIED) {
    if (request.headers[name]) headers[name] = request.headers[name];
  }
  return headers;
}

function call(url, headers) {
  return new Promise((resolve, reject) => {
    http.get(url, { headers }, (answer) => {
      answer.resume();
      answer.on("end", resolve);
    }).on("error", reject);
  });
}

http.createServer(async (request, response) => {
  await call("http://reviews:9080/reviews/0", copied(request));
  await call("http://details:9080/details/0", variant === "correct" ? copied(request) : {});
  response.end("{}");
}).listen(Number(port));
