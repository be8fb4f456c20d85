// The HTTP API, as the page uses it. No elements of the page are touched here.

export class Problem extends Error {
  constructor(status, text, after) {
    super(text);
    this.status = status;
    this.after = after;
  }
}

export async function call(path, { method = "GET", query = {}, headers = {} } = {}) {
  const response = await fetch(`/v1${path}${search(query)}`, { method, headers });
  if (!response.ok) throw problem(response.status, await response.text(), response.headers.get("retry-after"));
  return response.status === 204 ? null : response.json();
}

// Send a file. `onSent` hears the part that has gone out, 0 to 1; `stop` holds a function that breaks it off.
export function upload(path, file, query, onSent, stop) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/v1${path}${search(query)}`);
    request.setRequestHeader("Prefer", "respond-async");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => onSent(event.loaded / event.total));
    request.addEventListener("load", () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(problem(request.status, request.responseText, request.getResponseHeader("retry-after")));
    });
    request.addEventListener("error", () => reject(new Problem(0, "The service cannot be reached; is it still running?")));
    request.addEventListener("abort", () => reject(new Problem(0, "Stopped")));
    stop.now = () => request.abort();
    request.send(file);
  });
}

// Hear of a job as it changes. The browser connects again by itself, also after the service was restarted.
export function follow(id, onChange) {
  const source = new EventSource(`/v1/jobs/${id}/events`);
  source.addEventListener("message", (event) => {
    const job = JSON.parse(event.data);
    if (["done", "failed", "cancelled"].includes(job.state)) source.close();
    onChange(job);
  });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) onChange(null);
  });
  return () => source.close();
}

function search(query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

function problem(status, text, after) {
  let told = text;
  try {
    told = JSON.parse(text).detail;
  } catch {
    // not ours: something between us answered
  }
  return new Problem(status, told || `The service answered ${status}`, Number(after) || null);
}
