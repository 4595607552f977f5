// Plays the pieces of footage one after another as one line of time. `shown` is the time of the frame on the screen,
// `wanted` where the last seek went: they differ while a frame is being fetched.
class Player {
  constructor(model, videos, heard) {
    this.model = model; this.videos = videos; this.heard = heard;
    this.index = 0; this.shown = 0; this.wanted = 0; this.playing = false; this.rate = 1; this.stopAt = null;
    this.active = null;
    for (const video of videos) this.attend(video);
  }

  get piece() { return this.model.pieces[this.index]; }

  attend(video) {
    video.addEventListener("loadedmetadata", () => {
      if (video === this.active) this.moveVideo();
    });
    video.addEventListener("seeked", () => {
      // A frame that was on the screen already is not reported again.
      clearTimeout(this.unreported);
      const wanted = this.wanted;
      this.unreported = setTimeout(() => {
        if (video === this.active && !this.playing && !video.seeking && this.wanted === wanted) this.present(wanted);
      }, 150);
    });
    video.addEventListener("ended", () => { if (video === this.active) this.next(); });
    video.addEventListener("error", () => {
      if (!video.getAttribute("src")) return;
      const piece = this.model.pieces[Number(video.dataset.piece)];
      piece.note = "This browser cannot play the video of this part; what was seen is drawn without it.";
      piece.src = null;
      if (video === this.active) this.seek(this.wanted);
    });
    if ("requestVideoFrameCallback" in HTMLVideoElement.prototype) {
      const each = (_, frame) => { this.frameOf(video, frame.mediaTime); video.requestVideoFrameCallback(each); };
      video.requestVideoFrameCallback(each);
    } else {
      const each = () => { this.frameOf(video, video.currentTime); requestAnimationFrame(each); };
      requestAnimationFrame(each);
    }
  }

  // A video shows the frame of a media time: say which of the camera's it is.
  frameOf(video, mediaTime) {
    if (video !== this.active || video.readyState < 2) return;
    const at = this.piece.starts + mediaTime * TICKS, times = this.piece.times;
    let k = lastNotAfter(times, at + SAME);
    if (k + 1 < times.length && times[k + 1] - at < at - times[Math.max(k, 0)]) k += 1; // the nearest
    const time = times[Math.max(k, 0)];
    if (video.seeking && time !== this.wanted) return; // of before the seek
    clearTimeout(this.unreported);
    this.present(time); // what is on the screen, even where a browser stopped at another frame than it was asked for
    if (this.playing && at >= this.piece.until) this.next();
  }

  present(at) {
    this.shown = at;
    if (this.playing) this.wanted = at;
    for (const video of this.videos) video.classList.toggle("active", video === this.active);
    if (this.playing && this.stopAt !== null && at >= this.stopAt) this.pause();
    this.heard.frame(at);
  }

  // Go to the frame shown at a time; a time in a gap is the start of what follows.
  seek(at) {
    const pieces = this.model.pieces;
    let index = pieces.findIndex((piece) => at < piece.until);
    if (index < 0) index = pieces.length - 1;
    const times = pieces[index].times;
    this.wanted = times[Math.max(0, lastNotAfter(times, Math.max(at, pieces[index].from) + SAME))];
    this.open(index);
    this.heard.seek(this.wanted);
  }

  // Go to the first frame at or behind a time: what happened between two frames has then happened.
  seekAfter(at) {
    const piece = this.model.pieces.find((one) => at < one.until) ?? this.model.pieces.at(-1);
    const k = lastNotAfter(piece.times, at - 1) + 1;
    this.seek(piece.times[Math.min(k, piece.times.length - 1)]);
  }

  step(frames) {
    this.pause();
    const k = lastNotAfter(this.piece.times, this.wanted + SAME) + frames;
    if (k < 0 && this.index > 0) this.seek(this.model.pieces[this.index - 1].times.at(-1));
    else if (k >= this.piece.times.length && this.index + 1 < this.model.pieces.length) {
      this.seek(this.model.pieces[this.index + 1].from);
    } else this.seek(this.piece.times[Math.min(Math.max(k, 0), this.piece.times.length - 1)]);
  }

  open(index) {
    this.index = index;
    const piece = this.piece;
    this.heard.piece(piece);
    if (!piece.src) {
      this.quiet(null);
      this.present(this.wanted);
      if (this.playing) this.tick();
      return;
    }
    const video = this.holding(index);
    this.quiet(video);
    this.moveVideo();
    if (this.playing) this.start(video);
  }

  // The video element that has a piece, or one that takes it; of the two, one plays and one loads ahead.
  holding(index) {
    const had = this.videos.find((video) => video.dataset.piece === String(index) && video.getAttribute("src"));
    if (had) return had;
    const video = this.videos.find((one) => one !== this.active) ?? this.videos[0];
    video.dataset.piece = String(index);
    video.src = this.model.pieces[index].src;
    return video;
  }

  quiet(video) {
    for (const other of this.videos) if (other !== video) other.pause();
    this.active = video;
  }

  moveVideo() {
    const video = this.active;
    if (!video || video.readyState < 1) return;
    this.heard.size(video.videoWidth, video.videoHeight);
    const times = this.piece.times, k = lastNotAfter(times, this.wanted + SAME);
    const next = k + 1 < times.length ? times[k + 1] : times[k] + 400;
    // Late in the frame: Chromium takes all frames for equally long, and would stop at a short one before it.
    video.currentTime = (times[k] - this.piece.starts + Math.min(TICKS, 0.75 * (next - times[k]))) / TICKS;
    video.playbackRate = this.rate;
  }

  start(video) {
    video.playbackRate = this.rate;
    video.play().catch((error) => { if (error.name !== "AbortError") this.pause(); });
    const after = this.index + 1;
    if (this.model.pieces[after]?.src) this.holding(after);
  }

  play() {
    const end = this.stopAt ?? this.model.pieces.at(-1).times.at(-1);
    if (this.wanted >= end) this.seek(this.heard.beginning());
    this.playing = true;
    this.heard.state();
    if (this.active) this.start(this.active); else this.tick();
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.wanted = this.shown;
    this.active?.pause();
    this.moveVideo(); // the frame drawn over is the frame that stays
    this.heard.state();
  }

  setRate(rate) {
    this.rate = rate;
    if (this.active) this.active.playbackRate = rate;
  }

  next() {
    const after = this.model.pieces[this.index + 1];
    if (!after) { this.pause(); return; }
    const gap = after.from - this.piece.until;
    if (gap > TICKS) this.heard.gap(gap);
    this.wanted = after.times[0];
    this.open(this.index + 1);
  }

  // Footage that is gone: its time goes by on the browser's clock.
  tick() {
    const index = this.index, base = this.shown, began = performance.now();
    const go = (now) => {
      if (!this.playing || this.index !== index || this.active) return;
      const at = base + ((now - began) / 1000) * this.rate * TICKS;
      if (at >= this.piece.until) { this.next(); return; }
      this.present(this.piece.times[Math.max(0, lastNotAfter(this.piece.times, at))]);
      this.ticking = requestAnimationFrame(go);
    };
    cancelAnimationFrame(this.ticking);
    this.ticking = requestAnimationFrame(go);
  }
}
