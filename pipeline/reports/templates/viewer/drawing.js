// What was seen, drawn over the frame that shows it. Pixels of the footage are scaled to those of the canvas.
const LINE = "#ffc43d", ZONE = "#56cc9d", TRAIL = 3 * TICKS, FONT = "ui-sans-serif, system-ui, sans-serif";

class Drawing {
  constructor(model, canvas) {
    this.model = model; this.canvas = canvas; this.pen = canvas.getContext("2d");
    this.visible = []; // { track, xyxy } in footage pixels, as drawn last
  }

  fit(piece) {
    const ratio = Math.min(window.devicePixelRatio || 1, 2), box = this.canvas.getBoundingClientRect();
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    this.unit = ratio;
    this.small = box.width < 480; // a phone: the tracks' names are in the list below
    this.scale = [width / piece.width, height / piece.height];
  }

  draw(piece, at, { matches, shows, selected, counts, inside }) {
    this.fit(piece);
    const { pen, model } = this;
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.lineJoin = pen.lineCap = "round";
    if (shows.zones) model.zones.forEach((zone, i) => this.zone(zone, inside[i]));
    if (shows.lines) model.lines.forEach((line, i) => this.line(line, counts[i]));
    this.visible = [];
    for (const track of model.tracks) {
      if (track.from > at + SAME) break; // they are in order of their first row
      if (track.until + TRAIL < at || track.last < track.first || !matches(track)) continue;
      if (shows.trails) this.trail(track, at);
      const box = boxAt(model, track, at);
      if (box) this.visible.push({ track, ...box });
    }
    for (const seen of this.visible) this.box(seen, shows, seen.track === selected);
  }

  trail(track, at) {
    const { pen, model } = this, [left, , right, bottom] = model.corners;
    const end = lastNotAfter(model.at, at + SAME, track.first, track.last);
    let row = end;
    pen.beginPath();
    while (row >= track.first && model.at[row] >= at - TRAIL) {
      const [x, y] = this.point((left[row] + right[row]) / 8, bottom[row] / 4);
      if (row === end) pen.moveTo(x, y); else pen.lineTo(x, y);
      row -= 1;
    }
    pen.strokeStyle = track.colour; pen.globalAlpha = 0.85; pen.lineWidth = 2 * this.unit;
    pen.stroke();
    pen.globalAlpha = 1;
  }

  box({ track, xyxy, thin }, shows, chosen) {
    const [x1, y1] = this.point(xyxy[0], xyxy[1]), [x2, y2] = this.point(xyxy[2], xyxy[3]);
    if (shows.boxes) {
      if (chosen) this.stroke(x1, y1, x2, y2, "#ffffff", 6);
      this.stroke(x1, y1, x2, y2, track.colour, thin ? 1 : 2.5);
    }
    if (shows.ids && (!this.small || chosen)) this.label(`${track.class} ${track.short}`, x1, y1, track.plate, track.colour);
  }

  stroke(x1, y1, x2, y2, colour, width) {
    this.pen.strokeStyle = colour;
    this.pen.lineWidth = width * this.unit;
    this.pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
  }

  line(line, [forward, backward]) {
    const { pen } = this, [ax, ay] = this.point(line.x1, line.y1), [bx, by] = this.point(line.x2, line.y2);
    const length = Math.hypot(bx - ax, by - ay) || 1, [rx, ry] = [-(by - ay) / length, (bx - ax) / length];
    const [mx, my] = [(ax + bx) / 2, (ay + by) / 2], reach = 22 * this.unit, head = 7 * this.unit;
    const [tx, ty] = [mx + rx * reach, my + ry * reach]; // forward is from left to right of the line
    pen.beginPath();
    pen.moveTo(ax, ay); pen.lineTo(bx, by);
    pen.moveTo(mx, my); pen.lineTo(tx, ty);
    pen.moveTo(tx - head * (rx - ry), ty - head * (ry + rx)); pen.lineTo(tx, ty);
    pen.lineTo(tx - head * (rx + ry), ty - head * (ry - rx));
    pen.strokeStyle = "rgba(20, 24, 28, 0.7)"; pen.lineWidth = 5 * this.unit; pen.stroke();
    pen.strokeStyle = LINE; pen.lineWidth = 2.5 * this.unit; pen.stroke();
    const counts = this.small ? `${forward} · ${backward}` : `${line.forward} ${forward} · ${line.backward} ${backward}`;
    this.label(`${line.name}  ${counts}`, ax, ay, "#3f310f", LINE);
  }

  zone(zone, inside) {
    const { pen } = this;
    pen.beginPath();
    zone.x.forEach((x, i) => {
      const [px, py] = this.point(x, zone.y[i]);
      if (i === 0) pen.moveTo(px, py); else pen.lineTo(px, py);
    });
    pen.closePath();
    pen.fillStyle = ZONE; pen.globalAlpha = 0.18; pen.fill(); pen.globalAlpha = 1;
    pen.strokeStyle = ZONE; pen.lineWidth = 1.5 * this.unit; pen.stroke();
    const top = zone.y.indexOf(Math.min(...zone.y)), [x, y] = this.point(zone.x[top], zone.y[top]);
    this.label(this.small ? `${zone.name} ${inside}` : `${zone.name}  ${inside} inside`, x, y, "#153327", ZONE);
  }

  label(text, x, y, plate, edge) {
    const { pen, unit } = this, size = (this.small ? 10 : 12) * unit;
    pen.font = `600 ${size}px ${FONT}`;
    const width = pen.measureText(text).width + 8 * unit, height = size + 6 * unit;
    const left = Math.max(0, Math.min(x - unit, this.canvas.width - width));
    const top = Math.max(0, Math.min(y - height, this.canvas.height - height));
    pen.fillStyle = plate; pen.fillRect(left, top, width, height);
    pen.fillStyle = edge; pen.fillRect(left, top, 3 * unit, height);
    pen.fillStyle = "#ffffff"; pen.textBaseline = "middle";
    pen.fillText(text, left + 6 * unit, top + height / 2 + 0.5 * unit);
  }

  point(x, y) { return [x * this.scale[0], y * this.scale[1]]; }

  // The smallest track at a place of the window, given a finger's or pointer's breadth.
  trackAt(clientX, clientY, reach) {
    const box = this.canvas.getBoundingClientRect(), unit = this.unit;
    const [x, y] = [(clientX - box.left) * unit, (clientY - box.top) * unit], far = reach * unit;
    let best = null, least = Infinity;
    for (const { track, xyxy } of this.visible) {
      const [x1, y1] = this.point(xyxy[0], xyxy[1]), [x2, y2] = this.point(xyxy[2], xyxy[3]);
      const hit = x >= x1 - far && x <= x2 + far && y >= y1 - far && y <= y2 + far, area = (x2 - x1) * (y2 - y1);
      if (hit && area < least) [best, least] = [track, area];
    }
    return best;
  }
}
