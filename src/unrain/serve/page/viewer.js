// Pictures and videos side by side or on top of each other, at any zoom. Knows nothing of jobs.

const MOST = 16;

export class Viewer {
  constructor(element, onZoom) {
    this.element = element;
    this.onZoom = onZoom;
    this.panes = [];
    this.at = 50;
    this.zoom = null; // null: fit
    this.middle = [0.5, 0.5]; // of the picture, in the middle of a pane
    this.pointers = new Map();
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    element.addEventListener("pointerdown", (event) => this.#down(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, (event) => this.#up(event));
    element.addEventListener("dblclick", (event) => this.#double(event));
    new ResizeObserver(() => this.draw()).observe(element);
  }

  // panes: [{ media, tag, role }]; mode: "slide" on top of each other, "apart" side by side, "alone" one only
  show(panes, mode, bright = false) {
    const kept = this.mode === mode && this.panes.length === panes.length;
    this.mode = mode;
    this.element.className = `viewer ${mode}${bright ? " bright" : ""}`;
    this.panes = panes.map(({ media, tag, role }) => {
      const pane = make("div", { className: `pane ${mode === "alone" ? "alone" : role}` });
      media.classList.add("media");
      media.draggable = false;
      for (const ready of ["load", "loadedmetadata"]) media.addEventListener(ready, () => this.draw());
      pane.append(media, make("span", { className: "tag", textContent: tag }));
      return { pane, media };
    });
    this.element.replaceChildren(...this.panes.map(({ pane }) => pane));
    if (mode === "slide") this.element.append(this.#handle(kept));
    this.draw();
  }

  note(text) {
    this.element.append(make("p", { className: "empty-note", textContent: text }));
  }

  reset() {
    this.zoom = null;
    this.middle = [0.5, 0.5];
    this.at = 50;
    this.draw();
  }

  setZoom(zoom) {
    this.zoom = zoom === null ? null : Math.min(MOST, Math.max(this.#fit() * 0.5, zoom));
    this.draw();
  }

  step(factor) {
    this.setZoom(this.scale() * factor);
  }

  scale() {
    return this.zoom ?? this.#fit();
  }

  setSplit(percent) {
    this.at = Math.min(100, Math.max(0, percent));
    this.element.style.setProperty("--at", `${this.at}%`);
    const handle = this.element.querySelector(".handle");
    handle?.setAttribute("aria-valuenow", Math.round(this.at));
    handle?.setAttribute("aria-valuetext", `${Math.round(this.at)} % before`);
  }

  draw() {
    const scale = this.scale();
    const [wide, high] = this.#size();
    if (wide && this.panes.length) {
      const room = this.#room();
      const place = [wide, high].map((size, axis) => {
        const shown = size * scale;
        // what is smaller than its frame lies in the middle, what is larger leaves no gap at the edge
        if (shown <= room[axis]) {
          this.middle[axis] = 0.5;
          return (room[axis] - shown) / 2;
        }
        const first = room[axis] / 2 - this.middle[axis] * shown;
        const kept = Math.min(0, Math.max(room[axis] - shown, first));
        this.middle[axis] = (room[axis] / 2 - kept) / shown;
        return kept;
      });
      for (const { media } of this.panes) {
        const own = natural(media)[0] || wide;
        media.style.transform = `translate(${place[0]}px, ${place[1]}px) scale(${(scale * wide) / own})`;
        media.classList.toggle("pixels", scale >= 3);
      }
      this.element.classList.toggle("grab", wide * scale > room[0] + 1 || high * scale > room[1] + 1);
    }
    this.setSplit(this.at);
    this.onZoom(scale, this.zoom === null);
  }

  #size() {
    for (const { media } of this.panes) if (natural(media)[0]) return natural(media);
    return [0, 0];
  }

  #room() {
    const box = this.panes[0].pane.getBoundingClientRect();
    return [box.width, box.height];
  }

  #fit() {
    const [wide, high] = this.#size();
    if (!wide || !this.panes.length) return 1;
    const room = this.#room();
    return Math.min(room[0] / wide, room[1] / high, 2);
  }

  #handle(focusKept) {
    const handle = make("div", { className: "handle", tabIndex: 0 });
    const facts = { role: "slider", "aria-label": "Border between before and after", "aria-valuemin": 0, "aria-valuemax": 100 };
    for (const [name, value] of Object.entries(facts)) handle.setAttribute(name, value);
    handle.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      event.preventDefault();
      handle.focus({ focusVisible: false });
      handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const box = this.element.getBoundingClientRect();
      this.setSplit(((event.clientX - box.left) / box.width) * 100);
    });
    handle.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: this.at - 2, ArrowRight: this.at + 2, PageDown: this.at - 10, PageUp: this.at + 10, Home: 0, End: 100 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.setSplit(to);
    });
    if (focusKept && document.activeElement?.classList.contains("handle")) queueMicrotask(() => handle.focus());
    return handle;
  }

  // Zoom so that the point under the pointer stays where it is.
  #zoomAt(x, y, zoom) {
    const box = this.#paneAt(x, y);
    const offset = [x - box.left - box.width / 2, y - box.top - box.height / 2];
    const size = this.#size();
    const before = this.scale();
    const point = offset.map((each, axis) => this.middle[axis] + each / (size[axis] * before));
    this.zoom = Math.min(MOST, Math.max(this.#fit() * 0.5, zoom));
    this.middle = offset.map((each, axis) => point[axis] - each / (size[axis] * this.zoom));
    this.draw();
  }

  #paneAt(x, y) {
    const boxes = this.panes.map(({ pane }) => pane.getBoundingClientRect());
    return boxes.find((box) => x >= box.left && x <= box.right && y >= box.top && y <= box.bottom) ?? boxes[0];
  }

  #wheel(event) {
    if (!this.#size()[0]) return;
    event.preventDefault();
    this.#zoomAt(event.clientX, event.clientY, this.scale() * Math.exp(-event.deltaY * 0.0018));
  }

  #double(event) {
    if (event.target.classList.contains("handle") || !this.#size()[0]) return;
    if (this.zoom === null) this.#zoomAt(event.clientX, event.clientY, Math.max(1, this.#fit() * 2));
    else this.setZoom(null);
  }

  #down(event) {
    if (!this.#size()[0]) return;
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.element.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    const here = [event.clientX, event.clientY];
    const others = [...this.pointers.entries()].filter(([id]) => id !== event.pointerId);
    if (others.length) {
      const other = others[0][1];
      const grown = distance(here, other) / Math.max(1, distance(last, other));
      this.#zoomAt((here[0] + other[0]) / 2, (here[1] + other[1]) / 2, this.scale() * grown);
    } else {
      const size = this.#size();
      this.middle = this.middle.map((each, axis) => each - (here[axis] - last[axis]) / (size[axis] * this.scale()));
      this.draw();
    }
    this.pointers.set(event.pointerId, here);
  }

  #up(event) {
    this.pointers.delete(event.pointerId);
  }
}

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function natural(media) {
  return media.tagName === "VIDEO" ? [media.videoWidth, media.videoHeight] : [media.naturalWidth, media.naturalHeight];
}

function distance(a, b) {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}
