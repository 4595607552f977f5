// The span at a glance: how many tracks at a time, crossings, and where there is no footage.
class Timeline {
  constructor(model, clock, canvas, head) {
    this.model = model; this.clock = clock; this.canvas = canvas; this.head = head;
  }

  at(clientX) {
    const box = this.canvas.getBoundingClientRect();
    return Math.max(0, Math.min(1, (clientX - box.left) / box.width)) * this.model.until;
  }

  move(at) { this.head.style.left = `${(100 * at) / this.model.until}%`; }

  draw(filter) {
    const ratio = Math.min(window.devicePixelRatio || 1, 2), box = this.canvas.getBoundingClientRect();
    const width = (this.canvas.width = Math.round(box.width * ratio));
    const height = (this.canvas.height = Math.round(box.height * ratio));
    const pen = this.canvas.getContext("2d"), style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const x = (at) => (at / this.model.until) * width, foot = height - 16 * ratio;
    this.gaps(pen, x, foot, colour);
    this.density(pen, x, width, foot, ratio, colour, filter);
    const tick = (crossing, top, bottom) => {
      pen.fillRect(x(crossing.at) - 0.5 * ratio, top, 1.5 * ratio, bottom - top);
    };
    for (const crossing of this.model.crossings) {
      if (!filter.matches(crossing.track) || !filter.within(crossing.at)) continue;
      pen.fillStyle = colour(crossing.forward ? "--forward" : "--backward");
      tick(crossing, crossing.forward ? 2 * ratio : 9 * ratio, crossing.forward ? 8 * ratio : 15 * ratio);
    }
    pen.fillStyle = colour("--outside");
    if (filter.from > 0) pen.fillRect(0, 0, x(filter.from), foot);
    if (filter.until < this.model.until) pen.fillRect(x(filter.until), 0, width, foot);
    this.hours(pen, x, width, height, ratio, colour);
  }

  gaps(pen, x, foot, colour) {
    const pieces = this.model.pieces;
    for (let i = 0; i < pieces.length; i++) {
      if (!pieces[i].src) this.hatch(pen, x(pieces[i].from), x(pieces[i].until), foot, colour("--lost"));
      const next = pieces[i + 1];
      if (next && next.from - pieces[i].until > TICKS) {
        this.hatch(pen, x(pieces[i].until), x(next.from), foot, colour("--gap"));
      }
    }
  }

  hatch(pen, left, right, foot, colour) {
    pen.save();
    pen.beginPath(); pen.rect(left, 0, Math.max(right - left, 1), foot); pen.clip();
    pen.strokeStyle = colour; pen.lineWidth = 2; pen.beginPath();
    for (let at = left - foot; at < right; at += 8) { pen.moveTo(at, foot); pen.lineTo(at + foot, 0); }
    pen.stroke(); pen.restore();
  }

  density(pen, x, width, foot, ratio, colour, filter) {
    const columns = Math.max(1, Math.floor(width / (2 * ratio))), change = new Int32Array(columns + 1);
    const column = (at) => Math.max(0, Math.min(columns - 1, Math.floor((at / this.model.until) * columns)));
    for (const track of this.model.tracks) {
      if (!filter.matches(track) || track.until < filter.from || track.from > filter.until) continue;
      change[column(track.from)] += 1; change[column(track.until) + 1] -= 1;
    }
    let now = 0, most = 1;
    const counts = Array.from(change.subarray(0, columns), (by) => { now += by; most = Math.max(most, now); return now; });
    pen.fillStyle = colour("--density");
    counts.forEach((count, i) => {
      const high = (count / most) * (foot - 20 * ratio);
      pen.fillRect((i * width) / columns, foot - high, width / columns + 0.5, high);
    });
    this.most = most;
  }

  hours(pen, x, width, height, ratio, colour) {
    const seconds = this.model.until / TICKS;
    const every = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400]
      .find((step) => (seconds / step) * 80 * ratio <= width) ?? 86400;
    const write = every < 60 ? this.clock.time : this.clock.short;
    pen.fillStyle = colour("--quiet"); pen.font = `${11 * ratio}px ${FONT}`; pen.textBaseline = "bottom";
    const first = Math.ceil(this.model.from / 1000 / every) * every * TICKS - this.model.from * 10;
    for (let at = first; at <= this.model.until; at += every * TICKS) {
      const text = write(at), wide = pen.measureText(text).width;
      pen.fillRect(x(at), height - 16 * ratio, ratio, 4 * ratio);
      const left = x(at) - wide / 2;
      if (left > -wide / 2 - 1 && left + wide < width) pen.fillText(text, Math.max(0, left), height);
    }
  }
}
