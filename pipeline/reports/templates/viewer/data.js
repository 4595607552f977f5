// What the page carries, unpacked. Times are ticks of 100 microseconds since the beginning of the span.
const TICKS = 10000; // in a second

async function unpack(text, Type) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const values = new Type(await new Response(stream).arrayBuffer());
  for (let i = 1; i < values.length; i++) values[i] += values[i - 1]; // differences, wrapping as they were made
  return values;
}

async function readModel(raw) {
  const model = { ...raw };
  model.at = await unpack(raw.rows.at, Int32Array);
  model.corners = [];
  for (const name of ["x1", "y1", "x2", "y2"]) model.corners.push(await unpack(raw.rows[name], Int16Array));
  model.thin = await unpack(raw.rows.thin, Uint8Array);
  model.until = raw.duration;
  for (const piece of raw.pieces) {
    const known = await unpack(piece.frames, Int32Array);
    piece.times = known.length ? known : timesOfRows(model, piece);
  }
  model.tracks = raw.tracks.id.map((id, i) => ({
    i, id, class: raw.classes[raw.tracks.class[i]], score: raw.tracks.score[i], boxes: raw.tracks.boxes[i],
    started: raw.tracks.started[i], ended: raw.tracks.ended[i], identity: raw.tracks.identity[i],
    confidence: raw.tracks.confidence[i], colour: raw.tracks.colour[i], plate: darkened(raw.tracks.colour[i]),
    first: raw.tracks.row[i], last: raw.tracks.row[i] + raw.tracks.rows[i] - 1,
    short: raw.tracks.identity[i] ? raw.tracks.identity[i].slice(0, 7) : id.slice(id.lastIndexOf("-") + 1),
  }));
  for (const track of model.tracks) {
    track.from = track.last >= track.first ? model.at[track.first] : track.started;
    track.until = track.last >= track.first ? model.at[track.last] : track.ended;
  }
  model.byId = new Map(model.tracks.map((track) => [track.id, track]));
  model.crossings = raw.crossings.at.map((at, i) => {
    const line = raw.lines[raw.crossings.line[i]], forward = raw.crossings.forward[i] === 1;
    const direction = forward ? line.forward : line.backward;
    return { at, line, forward, direction, track: model.tracks[raw.crossings.track[i]] };
  });
  model.visits = raw.visits.from.map((from, i) => ({
    from, until: raw.visits.until[i], zone: raw.visits.zone[i], track: model.tracks[raw.visits.track[i]],
  }));
  model.step = commonStep(model);
  return model;
}

function timesOfRows(model, piece) {
  const inside = Array.from(new Set(model.at)).filter((at) => at >= piece.from && at < piece.until);
  const every = Int32Array.from(inside.concat(piece.from)).sort();
  return every.filter((at, i) => i === 0 || at > every[i - 1]);
}

// The usual time between two rows of a track: frames that were passed over in processing lie between them.
function commonStep(model) {
  const steps = [];
  for (const track of model.tracks.slice(0, 200)) {
    for (let row = track.first + 1; row <= Math.min(track.last, track.first + 50); row++) {
      steps.push(model.at[row] - model.at[row - 1]);
    }
  }
  steps.sort((a, b) => a - b);
  return steps.length ? steps[steps.length >> 1] : TICKS;
}

// Index of the last value not above `wanted`, or -1; `from` and `to` bound the search, both included.
function lastNotAfter(values, wanted, from = 0, to = values.length - 1) {
  let low = from, high = to + 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= wanted) low = middle + 1; else high = middle;
  }
  return low - 1 < from ? -1 : low - 1;
}

const SAME = 5; // ticks: rounding of two clocks

// A track's box at a time, in pixels of the footage, or null; between rows of a sampled camera it moves evenly.
function boxAt(model, track, at) {
  const row = lastNotAfter(model.at, at + SAME, track.first, track.last);
  if (row < 0) return null;
  const place = (r) => model.corners.map((column) => column[r] / 4);
  if (at - model.at[row] <= SAME) return { xyxy: place(row), thin: model.thin[row] === 1, row };
  if (row === track.last || model.at[row + 1] - model.at[row] > 1.5 * model.step) return null;
  const share = (at - model.at[row]) / (model.at[row + 1] - model.at[row]);
  const [a, b] = [place(row), place(row + 1)];
  return { xyxy: a.map((value, i) => value + share * (b[i] - value)), thin: true, row };
}

function darkened(colour) {
  return "#" + [1, 3, 5].map((i) => (parseInt(colour.slice(i, i + 2), 16) >> 2).toString(16).padStart(2, "0")).join("");
}
