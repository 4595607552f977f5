// The side panel: one track with all its sightings, and the list of crossings. Text is set, never parsed.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function fill(place, ...children) { place.replaceChildren(...children.filter((child) => child !== null)); }

const LISTED = 400;

class Panel {
  constructor(model, clock, places, go) {
    this.model = model; this.clock = clock; this.places = places; this.go = go;
  }

  track(track) {
    const { model, clock } = this, facts = [];
    const fact = (name, ...value) => facts.push(element("dt", {}, name), element("dd", {}, ...value));
    fact("Class", track.class);
    fact("First seen", `${clock.date(track.started)}, `, this.jump(track.started, clock.tenths(track.started), track));
    fact("Last seen", this.jump(track.ended, clock.tenths(track.ended), track));
    fact("Seen for", duration(track.ended - track.started));
    fact("Confidence", track.score === null ? "not known" : `${track.score.toFixed(2)} mean of ${track.boxes} boxes`);
    fact("Tracklet", element("code", {}, track.id));
    if (track.identity) fact("Identity", element("code", {}, track.identity), ` (${track.confidence.toFixed(2)})`);
    const crossed = model.crossings.filter((crossing) => crossing.track === track);
    if (crossed.length) {
      fact("Crossings", element("ul", { class: "plain" }, ...crossed.map((crossing) => element("li", {},
        `${crossing.line.name}, ${crossing.direction}, `, this.jump(crossing.at, clock.tenths(crossing.at), track)))));
    }
    const swatch = element("span", { class: "swatch", style: `background:${track.colour}` });
    const own = model.thumbnails[track.id];
    fill(
      this.places.track,
      element("h3", {}, swatch, `${track.class} ${track.short}`),
      own ? this.picture(own, `${track.class} ${track.short}`) : null,
      element("dl", {}, ...facts),
      ...this.sightings(track),
    );
  }

  noTrack(text) { this.places.track.replaceChildren(element("p", { class: "quiet" }, text)); }

  sightings(track) {
    const all = this.model.identities[track.identity] ?? [];
    if (!track.identity) return [element("p", { class: "quiet" }, "No identity: it was not joined with any other.")];
    if (all.length < 2) return [element("p", { class: "quiet" }, "Seen nowhere else.")];
    const items = all.map((seen, i) => this.sighting(seen, all[i - 1], seen.tracklet === track.id));
    return [element("h4", {}, `Seen ${all.length} times`), element("ol", { class: "sightings" }, ...items)];
  }

  sighting(seen, before, here) {
    const { model, clock } = this, picture = model.thumbnails[seen.tracklet];
    const travel = seen.travel === null ? null
      : seen.travel < 0 ? `while still in ${before.camera}` : `${duration(seen.travel)} after the last`;
    const when = `${clock.time(seen.started)} to ${clock.time(seen.ended)}`;
    const other = model.viewers[seen.camera];
    const own = model.byId.get(seen.tracklet);
    const instant = clock.instant(seen.started).toISOString();
    let name = element("span", {}, seen.camera);
    if (here) name = element("strong", {}, `${seen.camera} (this one)`);
    else if (own) name = element("button", { class: "link", type: "button", onclick: () => this.go.track(own) }, seen.camera);
    else if (other && other.from <= seen.ended && seen.started < other.until) {
      const target = new URLSearchParams({ at: instant, track: seen.tracklet });
      name = element("a", { href: `${encodeURIComponent(other.file)}#${target}` }, seen.camera);
    }
    return element("li", here ? { "aria-current": "true" } : {},
      picture ? this.picture(picture, `${seen.class} in ${seen.camera}`) : null,
      element("div", {}, name, element("br"), element("span", { class: "quiet" }, when),
        travel ? element("span", { class: "quiet" }, `, ${travel}`) : null));
  }

  picture(text, alternative) {
    return element("img", { src: `data:image/jpeg;base64,${text}`, alt: alternative, loading: "lazy" });
  }

  jump(at, text, track) {
    if (at < 0 || at > this.model.until) return text;
    return element("button", { class: "link", type: "button", onclick: () => this.go.time(at, track) }, text);
  }

  // All that crossed, of which only those around the time shown are in the page: thousands of buttons are slow.
  crossings(filter) {
    this.wanted = this.model.crossings.filter((crossing) => filter.matches(crossing.track) && filter.within(crossing.at));
    this.times = Float64Array.from(this.wanted, (crossing) => crossing.at);
    const all = this.wanted.length;
    this.places.crossed.textContent = all === 0 ? "Nothing crossed a line here." : all === 1 ? "1 crossing" : `${all} crossings`;
    this.list(0);
  }

  list(middle) {
    this.begin = Math.max(0, middle - LISTED / 2);
    this.items = this.wanted.slice(this.begin, this.begin + LISTED).map((crossing) => {
      const text = [element("time", {}, this.clock.time(crossing.at)),
        element("span", { class: crossing.forward ? "forward" : "backward" }, `${crossing.line.name} ${crossing.direction}`),
        element("span", { class: "quiet" }, `${crossing.track.class} ${crossing.track.short}`)];
      const press = () => this.go.crossing(crossing);
      return element("li", {}, element("button", { type: "button", onclick: press }, ...text));
    });
    const row = (text, to) => element("li", {}, element("button", { type: "button", onclick: () => this.list(to) }, text));
    const after = this.wanted.length - this.begin - this.items.length;
    fill(
      this.places.crossings,
      this.begin > 0 ? row(`${this.begin} earlier`, this.begin) : null,
      ...this.items,
      after > 0 ? row(`${after} later`, this.begin + LISTED) : null,
    );
    this.marked = null;
  }

  show(at) {
    this.marked?.removeAttribute("aria-current");
    this.marked = null;
    this.mark(at);
  }

  // Mark the crossing that happened last, and keep it in view unless somebody is at the list.
  mark(at) {
    const list = this.places.crossings, busy = list.matches(":hover") || list.contains(document.activeElement);
    const last = lastNotAfter(this.times, at + SAME), hidden = !this.items[last - this.begin] && last >= 0;
    if (hidden && !busy) this.list(last);
    const item = this.items[last - this.begin] ?? null;
    if (item === this.marked) return;
    this.marked?.removeAttribute("aria-current");
    item?.setAttribute("aria-current", "true");
    this.marked = item;
    if (item && !busy) list.scrollTop = item.offsetTop - list.clientHeight / 2;
  }
}
