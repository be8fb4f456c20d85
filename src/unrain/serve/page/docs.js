// The API's page: what the OpenAPI document says, for people. It knows nothing of the API that is not in there.

import { make } from "/viewer.js";

const TAGS = { cleaning: "Cleaning", jobs: "Jobs", service: "The service" };

async function start() {
  const { paths } = await (await fetch("/openapi.json")).json();
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, ...operation })));
  for (const [tag, title] of Object.entries(TAGS)) {
    const own = operations.filter((operation) => operation.tags.includes(tag));
    document.getElementById("operations").append(make("h2", { textContent: title }), ...own.map(card));
  }
}

function card({ method, path, description, parameters = [], requestBody, responses, security }) {
  const title = make("h3", {}, make("b", { className: "method", textContent: method }), " ", make("code", { textContent: path }));
  const parts = [title, words(description)];
  if (parameters.length) parts.push(table(["Parameter", "Where", "Values", "What it does"], parameters.map(parameterRow)));
  const answers = Object.entries(responses).map(([status, answer]) => [status, typesOf(answer), words(answer.description)]);
  const all = make("details", {}, make("summary", { textContent: "Answers" }), table(["Status", "Type", "When"], answers));
  parts.push(make("pre", { tabIndex: 0, textContent: curl(method, path, requestBody, security) }), all);
  return make("section", { className: "card" }, ...parts);
}

function parameterRow({ name, in: where, schema, description = "" }) {
  return [make("code", { textContent: name }), where, valuesOf(schema), words(description)];
}

function valuesOf(schema) {
  const one = schema.anyOf?.find((each) => each.type !== "null") ?? schema;
  const range = one.minimum === undefined ? one.type : `${one.minimum} to ${one.maximum}`;
  const values = one.enum?.join(", ") ?? range;
  return schema.default === undefined || schema.default === "" ? values : `${values}; else ${schema.default}`;
}

function typesOf({ content = {} }) {
  return Object.keys(content).join(", ");
}

function curl(method, path, body, security) {
  const token = security ? ' -H "Authorization: Bearer $TOKEN"' : "";
  const verb = method === "GET" || body ? "" : ` -X ${method}`;
  return `curl${verb}${token}${body ? " --data-binary @FILE" : ""} '${location.origin}${path}'`;
}

// `code` between backticks, as the descriptions have it.
function words(text) {
  const parts = text.split("`").map((part, index) => (index % 2 ? make("code", { textContent: part }) : part));
  return make("p", {}, ...parts);
}

function table(heads, rows) {
  const head = make("tr", {}, ...heads.map((textContent) => make("th", { textContent, scope: "col" })));
  const body = rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))));
  return make("div", { className: "wide", tabIndex: 0 }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
}

start();
