// What the pages use of curl, for machines that have none: curl [--json DATA | -H HEADER | --data-binary DATA] URL.
// DATA may be @file. Prints the body of the answer, with a line break as a terminal would need one.
import { readFileSync } from "node:fs";

const headers = {};
let body;
let url;
const args = process.argv.slice(2);
while (args.length > 0) {
  const word = args.shift();
  if (word === "--json" || word === "--data-binary") {
    const data = args.shift();
    body = data.startsWith("@") ? readFileSync(data.slice(1)) : data;
    if (word === "--json") headers["content-type"] ??= "application/json";
  } else if (word === "-H") {
    const [name, value] = args.shift().split(/:\s*/, 2);
    headers[name.toLowerCase()] = value;
  } else if (word.startsWith("-")) {
    throw new TypeError(`the stand-in for curl does not know ${word}`);
  } else url = word;
}
const reply = await fetch(url, { method: body === undefined ? "GET" : "POST", headers, body });
console.log(await reply.text());
