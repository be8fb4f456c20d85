// Several videos that play as one: the first leads, the others are held to its time.

const FRAME = 0.03;
const JUMP = 0.25;

export class Player {
  constructor({ bar, play, seek, time }) {
    Object.assign(this, { bar, play, seek, time });
    this.videos = [];
    play.addEventListener("click", () => this.toggle());
    seek.addEventListener("input", () => this.jump((seek.value / 1000) * this.#length()));
  }

  use(videos) {
    this.pause();
    cancelAnimationFrame(this.next);
    this.videos = videos;
    this.bar.hidden = !videos.length;
    if (!videos.length) return;
    for (const video of videos) Object.assign(video, { muted: true, loop: false, playsInline: true, preload: "auto" });
    videos[0].muted = false;
    this.#tick();
  }

  toggle() {
    this.playing ? this.pause() : this.start();
  }

  start() {
    const [first] = this.videos;
    if (!first) return;
    if (first.ended || first.currentTime >= this.#length() - FRAME) this.jump(0);
    this.playing = true;
    for (const video of this.videos) video.play().catch(() => this.pause());
    this.#label();
  }

  pause() {
    this.playing = false;
    for (const video of this.videos) video.pause();
    const [first, ...others] = this.videos;
    for (const video of others) if (first.readyState) video.currentTime = first.currentTime;
    this.#label();
  }

  jump(seconds) {
    for (const video of this.videos) video.currentTime = seconds;
  }

  #length() {
    return this.videos[0]?.duration || 0;
  }

  #label() {
    this.play.setAttribute("aria-label", this.playing ? "Pause" : "Play");
    this.play.querySelector("use").setAttribute("href", this.playing ? "#i-pause" : "#i-play");
  }

  #tick() {
    const [first, ...others] = this.videos;
    if (!first) return;
    if (this.playing) {
      for (const video of others) {
        const behind = first.currentTime - video.currentTime;
        // one jump at a time: a slow machine would never be done with them
        if (Math.abs(behind) > JUMP && !video.seeking && !first.seeking) video.currentTime = first.currentTime;
        // a little faster or slower is not seen; a jump is
        video.playbackRate = Math.abs(behind) > FRAME ? 1 + Math.max(-0.2, Math.min(0.2, behind)) : 1;
      }
      if (first.ended) this.pause();
    }
    const length = this.#length();
    if (length && document.activeElement !== this.seek) this.seek.value = (first.currentTime / length) * 1000;
    this.time.textContent = `${clock(first.currentTime)} / ${clock(length)}`;
    this.next = requestAnimationFrame(() => this.#tick());
  }
}

function clock(seconds) {
  const whole = Math.floor(seconds + 0.001);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
