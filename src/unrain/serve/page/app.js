// The page: files in, jobs followed, results shown. Pictures are viewer.js, videos player.js, requests api.js.

import { Problem, call, follow, upload } from "/api.js";
import { Player } from "/player.js";
import { Viewer, make } from "/viewer.js";
import { distinct, zip } from "/zip.js";

const at = (id) => document.getElementById(id);
const VIDEO_NAMES = /\.(mp4|m4v|mov|mkv|webm|avi|ts|mts|m2ts|3gp)$/i;
const SUFFIXES = {
  "image/jpeg": [".jpg", ".jpeg", ".jpe", ".jfif"], "image/png": [".png"], "image/webp": [".webp"],
  "image/tiff": [".tif", ".tiff"], "image/bmp": [".bmp"], "video/mp4": [".mp4", ".m4v"], "video/quicktime": [".mov"],
  "video/x-matroska": [".mkv"], "video/webm": [".webm"], "video/mp2t": [".ts"],
};
const QUALITIES = {
  fast: "One small network, several times as fast.",
  balanced: "As fast as this machine can without a loss that one sees.",
  best: "The same in 32 bits: slower, and hardly to be told apart.",
};
const UPLOADS = 2;
const MEMORY = "unrain-jobs";

const viewer = new Viewer(at("viewer"), (scale, fits) => {
  at("zoom-now").textContent = `${Math.round(scale * 100)} %`;
  at("zoom-fit").disabled = fits;
});
const player = new Player({ bar: at("player"), play: at("play"), seek: at("seek"), time: at("time") });
const items = [];
let info = null;
let chosen = null;
let sending = 0;

class Item {
  constructor(name, video, file) {
    Object.assign(this, { name, video, file, sent: 0, job: null, error: null, stop: {}, tab: null, element: null });
    this.before = file ? URL.createObjectURL(file) : null;
  }

  get state() {
    if (this.error) return "failed";
    return this.job ? this.job.state : this.sending ? "sending" : "ready";
  }

  get busy() {
    return ["ready", "sending", "queued", "running"].includes(this.state);
  }

  // What a player or picture shows as before; after a reload only the service has it.
  get source() {
    return this.before ?? this.job?.files.source?.url;
  }

  saveAs(file, word) {
    const suffixes = SUFFIXES[file.type] ?? [""];
    const [, stem, suffix] = this.name.match(/^(.*?)(\.[^.]*)?$/s);
    const kept = suffixes.includes((suffix ?? "").toLowerCase()) ? suffix : suffixes[0];
    return `${stem}_${word}${kept}`;
  }
}

async function start() {
  try {
    info = await call("/info");
  } catch (problem) {
    if (problem.status === 401) return askToken();
    return say(problem.message);
  }
  const most = info.limits;
  at("where").textContent = info.local ? "Files stay on this computer" : "Files go to this server only";
  at("takes").textContent = `JPEG, PNG, WebP, TIFF or BMP up to ${Math.round(most.image_pixels / 1e6)} megapixels, and videos up to ${Math.round(most.video_seconds / 60)} minutes.`;
  chooseQuality();
  await restore();
}

function askToken() {
  const login = at("login");
  login.addEventListener("cancel", (event) => event.preventDefault());
  login.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await call("/session", { method: "POST", headers: { Authorization: `Bearer ${at("token").value}` } });
      location.reload();
    } catch {
      at("login-wrong").textContent = "That is none of its tokens.";
    }
  });
  login.showModal();
}

// ---------------------------------------------------------------- files in

function add(files) {
  for (const file of files) {
    const video = file.type ? file.type.startsWith("video/") : VIDEO_NAMES.test(file.name);
    items.push(new Item(file.name || "picture.png", video, file));
  }
  if (files.length) choose(items[items.length - files.length]);
  send();
}

async function addExample(name) {
  const blob = await (await fetch(`/examples/${name}`)).blob();
  add([new File([blob], name, { type: blob.type })]);
}

async function send() {
  const item = items.find((each) => each.state === "ready");
  if (!item || sending >= UPLOADS) return;
  item.sending = true;
  sending += 1;
  draw(item);
  try {
    await sendOne(item);
  } catch (problem) {
    if (items.includes(item)) item.error = problem.message;
  }
  item.sending = false;
  sending -= 1;
  draw(item);
  send();
}

async function sendOne(item) {
  const query = item.video ? { ...settingsFor(item), preview: true } : { ...settingsFor(item), layers: true };
  const onSent = (part) => {
    item.sent = part;
    draw(item);
  };
  for (;;) {
    try {
      item.job = await upload(item.video ? "/videos" : "/images", item.file, query, onSent, item.stop);
      break;
    } catch (problem) {
      if (!(problem instanceof Problem) || problem.status !== 429) throw problem;
      item.held = true;
      draw(item);
      await new Promise((resolve) => setTimeout(resolve, (problem.after ?? 10) * 1000));
      item.held = false;
      if (item.error || !items.includes(item)) return; // stopped or removed meanwhile
    }
  }
  remember();
  watch(item);
}

function watch(item) {
  item.unwatch?.();
  item.unwatch = follow(item.job.id, (job) => {
    const was = item.job?.state;
    if (job) item.job = job;
    else if (item.busy) item.error = "The service forgot this job; it may have expired.";
    if (job && was !== job.state) announce(item);
    draw(item);
  });
}

function announce(item) {
  const words = { done: "is clean", failed: "could not be cleaned", waiting: "has a preview", cancelled: "was stopped" };
  if (words[item.job.state]) say(`${item.name} ${words[item.job.state]}`);
}

// ---------------------------------------------------------------- across a reload

function remember() {
  const known = items.filter((item) => item.job).map((item) => ({ id: item.job.id, name: item.name, video: item.video }));
  sessionStorage.setItem(MEMORY, JSON.stringify(known));
}

async function restore() {
  const known = JSON.parse(sessionStorage.getItem(MEMORY) ?? "[]");
  for (const { id, name, video } of known) {
    try {
      const item = new Item(name, video, null);
      item.job = await call(`/jobs/${id}`);
      items.push(item);
      if (item.busy) watch(item);
    } catch {
      // expired: nothing is left to show
    }
  }
  remember();
  if (items.length) choose(items[0]);
}

// ---------------------------------------------------------------- what one can do with a job

async function attempt(item, path, options) {
  try {
    item.job = await call(`/jobs/${item.job.id}${path}`, { method: "POST", ...options });
    item.error = null;
  } catch (problem) {
    item.error = problem.message;
  }
  if (item.busy) watch(item);
  draw(item);
}

function cancel(item) {
  if (item.job) return attempt(item, "/cancel");
  item.stop.now?.();
  item.error = "Stopped";
  draw(item);
}

function again(item) {
  if (!item.job) {
    Object.assign(item, { error: null, sent: 0 });
    return send();
  }
  const layers = !item.video || at("keep-layers").checked;
  const query = { ...settingsFor(item), layers };
  return attempt(item, "/start", { query });
}

async function remove(item) {
  items.splice(items.indexOf(item), 1);
  item.stop.now?.();
  item.unwatch?.();
  item.element?.remove();
  if (item.before) URL.revokeObjectURL(item.before);
  remember();
  if (chosen === item) choose(items[0] ?? null);
  else drawAll();
  if (item.job) await call(`/jobs/${item.job.id}`, { method: "DELETE" }).catch(() => {});
}

async function downloadAll() {
  const button = at("download-all");
  button.disabled = true;
  try {
    const done = items.filter((item) => item.job?.files.clean);
    const names = distinct(done.map((item) => item.saveAs(item.job.files.clean, "clean")));
    const blobs = await Promise.all(done.map(async (item) => (await fetch(item.job.files.clean.url)).blob()));
    const archive = URL.createObjectURL(await zip(blobs.map((blob, index) => ({ name: names[index], blob }))));
    make("a", { href: archive, download: "unrain.zip" }).click();
    setTimeout(() => URL.revokeObjectURL(archive), 60_000);
  } catch (problem) {
    say(problem.message);
  }
  button.disabled = false;
}

// ---------------------------------------------------------------- settings

function settingsFor(item) {
  const both = { quality: at("quality").value, strength: at("strength").value / 100 };
  return item.video ? both : { ...both, stages: Number(at("stages").value) };
}

// What the service says of the quality that is chosen.
function quality() {
  return info.qualities.find((each) => each.name === at("quality").value);
}

function chooseQuality() {
  const { stages } = quality().image;
  at("stages").value = stages;
  at("stages").disabled = stages === 1;
  at("stages-text").textContent = stages === 1 ? "This quality has one only." : `Fewer are faster. The model was trained with ${stages}.`;
  at("quality-text").textContent = QUALITIES[at("quality").value];
  drawSettings();
}

function drawSettings() {
  at("strength-now").textContent = `${at("strength").value} %`;
  at("stages-now").textContent = at("stages").value;
  if (chosen) drawNow(chosen);
  drawActions();
}

// Whether what the settings say now is something else than what made this result.
function differs(item) {
  const made = item.job?.options;
  if (!made || item.state === "waiting") return false;
  return Object.entries(settingsFor(item)).some(([name, value]) => made[name] !== value);
}

// ---------------------------------------------------------------- drawing

function choose(item) {
  chosen = item;
  viewer.reset();
  shown = "";
  drawAll();
}

function drawAll() {
  at("empty").hidden = items.length > 0;
  at("work").hidden = items.length === 0;
  for (const item of items) drawRow(item);
  if (chosen) draw(chosen);
  else {
    player.use([]);
    shown = "";
  }
  drawActions();
}

function draw(item) {
  drawRow(item);
  if (item === chosen) {
    drawViewer(item);
    drawNow(item);
  }
  drawActions();
}

function drawRow(item) {
  if (!items.includes(item)) return;
  if (!item.element) {
    const seen = item.video ? make("video", { muted: true, preload: "metadata", tabIndex: -1 }) : make("img", { alt: "" });
    const parts = { name: make("span", { className: "name", textContent: item.name }), state: make("span", { className: "state" }), bar: make("progress", { max: 1 }) };
    const pick = make("button", { type: "button", className: "pick" }, seen, make("span", { className: "text" }, parts.name, parts.state, parts.bar));
    const close = make("button", { type: "button", className: "bare", innerHTML: '<svg class="icon"><use href="#i-close"/></svg>' });
    close.setAttribute("aria-label", `Remove ${item.name}`);
    pick.addEventListener("click", () => choose(item));
    close.addEventListener("click", () => remove(item));
    parts.bar.setAttribute("aria-label", `Progress of ${item.name}`);
    seen.addEventListener("error", () => seen.replaceWith(make("span", { className: "tile" }))); // no torn picture
    seen.src = item.source;
    item.element = make("li", {}, pick, close);
    Object.assign(item, { parts, pick });
    at("list").append(item.element);
  }
  item.pick.setAttribute("aria-current", item === chosen);
  item.element.className = item.state;
  item.parts.state.textContent = [stateOf(item), item.busy ? left(item) : ""].filter(Boolean).join(" · ");
  item.parts.bar.hidden = !item.busy;
  setBar(item.parts.bar, item);
}

function stateOf(item) {
  const job = item.job;
  switch (item.state) {
    case "ready": return "Waiting to be sent";
    case "sending": return item.held ? "Waiting, the service is busy" : item.sent < 1 ? `Sending, ${Math.round(item.sent * 100)} %` : "Checking";
    case "queued": return job.ahead ? `Waiting, ${job.ahead} before it` : "Waiting";
    case "running": return job.phase === "preview" ? "Preview" : "Cleaning";
    case "waiting": return "Preview is ready";
    case "done": return "Clean";
    case "cancelled": return "Stopped";
    default: return sentence(item.error ?? job.error ?? "Failed");
  }
}

function framesOf(item) {
  return item.video && item.state === "running" && item.job.total ? `, ${item.job.done} of ${item.job.total} frames` : "";
}

function left(item) {
  const seconds = item.job?.seconds_left;
  if (seconds === undefined || seconds === null) return "";
  return `about ${duration(seconds)} left`;
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function part(item) {
  const job = item.job;
  if (item.state === "sending") return item.sent < 1 && !item.held ? item.sent : null;
  if (item.state !== "running") return null;
  if (item.video) return job.total && job.done ? Math.min(1, job.done / job.total) : null;
  if (job.seconds_left === null) return null;
  item.began ??= performance.now();
  const spent = (performance.now() - item.began) / 1000;
  return Math.min(0.98, spent / (spent + job.seconds_left));
}

function setBar(bar, item) {
  const done = part(item);
  if (done === null) bar.removeAttribute("value");
  else bar.value = done;
  if (item.state !== "running") item.began = undefined;
}

function drawNow(item) {
  at("now").hidden = !item.busy;
  at("now-text").textContent = stateOf(item) + framesOf(item);
  at("now-left").textContent = left(item);
  setBar(at("now-bar"), item);
  const waits = item.state === "waiting";
  at("offer").hidden = !waits;
  if (waits) {
    const ran = item.job.ran;
    const frames = item.job.total ?? 0;
    const same = item.job.options.quality === at("quality").value;
    at("offer-text").textContent = !same ? "It was made in another quality." : !frames ? "" :
      `The whole video takes about ${duration((ran.seconds / ran.frames) * frames)} on this machine.`;
  }
  const ran = item.job?.ran;
  at("ran").classList.toggle("wrong", item.state === "failed");
  at("ran").textContent = item.state === "failed" ? stateOf(item) : !ran ? "" : [
    ran.model, `${ran.engine}, ${ran.precision}`, ran.device, `${item.job.width} × ${item.job.height}`,
    ran.frames > 1 ? `${ran.frames} frames` : "", `${ran.seconds.toFixed(1)} s`,
  ].filter(Boolean).join("  ·  ");
}

function drawActions() {
  const item = chosen;
  const clean = item?.job?.files.clean;
  const ready = clean && item.state === "done";
  const download = at("download");
  download.hidden = !ready;
  if (ready) {
    const shown = ["streaks", "degradation"].includes(item.tab) && item.job.files[item.tab] ? item.tab : "clean";
    const file = item.job.files[shown];
    download.href = file.url;
    download.download = item.saveAs(file, shown);
    download.querySelector("span").textContent = shown === "clean" ? "Download" : `Download the ${shown === "streaks" ? "streaks" : "degradation map"}`;
  }
  at("download-all").hidden = items.filter((each) => each.job?.state === "done").length < 2;
  const button = at("again");
  const stopped = item && ["failed", "cancelled"].includes(item.state);
  button.hidden = !(item && (stopped || (ready && differs(item))));
  button.querySelector("span").textContent = stopped ? "Start again" : "Clean again with these settings";
}

// ---------------------------------------------------------------- the picture

let shown = "";

function tabsOf(item) {
  const files = item.job?.files ?? {};
  // they come, and go, one after the other
  const preview = item.state !== "done" && files["preview-clean"] && files["preview-rainy"];
  const pick = (name) => files[preview ? `preview-${name}` : name]?.url;
  const before = preview ? files["preview-rainy"].url : item.source;
  const clean = item.state === "done" || preview ? pick("clean") : null;
  const tabs = [];
  if (!clean) return [{ name: "before", title: "Before", mode: "alone", panes: [[before, "Before", "before"]] }];
  const both = [[before, "Before", "before"], [clean, "After", "after"]];
  if (item.video) tabs.push({ name: "apart", title: "Side by side", mode: "apart", panes: both });
  tabs.push({ name: "slide", title: item.video ? "Slider" : "Compare", mode: "slide", panes: both });
  const streaks = pick("streaks") ?? (item.video && files["preview-streaks"]?.url);
  const degradation = pick("degradation") ?? (item.video && files["preview-degradation"]?.url);
  if (streaks) tabs.push({ name: "streaks", title: "Streaks", mode: "alone", bright: true, panes: [[streaks, "Taken out, brightened", "before"]] });
  if (degradation) tabs.push({ name: "degradation", title: "Degradation", mode: "alone", panes: [[degradation, "Where rain hides the scene", "before"]] });
  return tabs;
}

function drawViewer(item) {
  const tabs = tabsOf(item);
  const tab = tabs.find((each) => each.name === item.tab) ?? tabs[0];
  const key = JSON.stringify([items.indexOf(item), tab, tabs.map((each) => each.name), item.job?.ran, item.state === "failed"]);
  if (key === shown) return;
  shown = key;
  const focused = at("tabs").contains(document.activeElement);
  at("tabs").replaceChildren(...tabs.map((each) => tabButton(item, each, each === tab)));
  if (focused) at("tabs").querySelector('[aria-selected="true"]').focus();
  const version = item.job?.ran ? `?v=${item.job.ran.seconds}` : "";
  const panes = tab.panes.map(([url, tag, role]) => ({ media: media(item, url.startsWith("blob:") ? url : url + version), tag, role }));
  const length = player.videos[0]?.currentTime ?? 0;
  viewer.show(panes, tab.mode, tab.bright);
  player.use(item.video ? panes.map((pane) => pane.media) : []);
  if (item.video && length) player.jump(length);
}

function tabButton(item, tab, selected) {
  const button = make("button", { type: "button", textContent: tab.title, tabIndex: selected ? 0 : -1 });
  button.setAttribute("role", "tab");
  button.setAttribute("aria-selected", selected);
  button.setAttribute("aria-controls", "viewer");
  button.addEventListener("click", () => {
    item.tab = tab.name;
    draw(item);
  });
  return button;
}

function media(item, url) {
  const element = item.video ? make("video", { playsInline: true, preload: "auto" }) : make("img", { alt: "", decoding: "async" });
  const more = item.state === "failed" ? "" : " It is cleaned all the same: download the result.";
  element.addEventListener("error", () => viewer.note(`The browser cannot show this file.${more}`));
  element.src = url;
  return element;
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function say(text) {
  at("said").textContent = text;
}

// ---------------------------------------------------------------- hands and keys

for (const button of document.querySelectorAll(".choose")) button.addEventListener("click", () => at("files").click());
for (const button of document.querySelectorAll(".example")) button.addEventListener("click", () => addExample(button.dataset.example));
at("files").addEventListener("change", (event) => {
  add([...event.target.files]);
  event.target.value = "";
});
at("cancel").addEventListener("click", () => cancel(chosen));
at("go").addEventListener("click", () => again(chosen));
at("again").addEventListener("click", () => again(chosen));
at("download-all").addEventListener("click", downloadAll);
at("zoom-in").addEventListener("click", () => viewer.step(1.5));
at("zoom-out").addEventListener("click", () => viewer.step(1 / 1.5));
at("zoom-fit").addEventListener("click", () => viewer.setZoom(null));
at("settings").addEventListener("input", (event) => (event.target.id === "quality" ? chooseQuality() : drawSettings()));
at("settings").addEventListener("submit", (event) => event.preventDefault());
at("tabs").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const buttons = [...at("tabs").children];
  const next = buttons[buttons.indexOf(document.activeElement) + step];
  if (next) next.click();
});
addEventListener("paste", (event) => add([...(event.clipboardData?.files ?? [])]));
let inside = 0;
const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => {
  if (!hasFiles(event)) return;
  inside += 1;
  at("curtain").hidden = false;
});
addEventListener("dragleave", (event) => {
  if (!hasFiles(event)) return;
  inside = Math.max(0, inside - 1);
  at("curtain").hidden = inside > 0 ? false : true;
});
addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  inside = 0;
  at("curtain").hidden = true;
  add([...event.dataTransfer.files]);
});

start();
