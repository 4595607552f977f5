// Wires the page: state, keys, buttons.
const $ = (id) => document.getElementById(id);

class Filter {
  constructor(model) { this.model = model; this.hidden = new Set(); this.text = ""; this.from = 0; this.until = model.until; }

  matches(track) {
    if (this.hidden.has(track.class) || track.from > this.until || track.until < this.from) return false;
    return !this.text || (track.identity ?? "").includes(this.text) || track.id.includes(this.text);
  }

  within(at) { return at >= this.from && at <= this.until; }

  get isOn() { return this.hidden.size > 0 || this.text !== "" || this.from > 0 || this.until < this.model.until; }
}

class Page {
  constructor(model) {
    this.model = model;
    this.clock = makeClock(model);
    this.filter = new Filter(model);
    this.shows = { boxes: true, ids: true, trails: true, lines: true, zones: true };
    this.selected = null;
    this.drawing = new Drawing(model, $("over"));
    this.timeline = new Timeline(model, this.clock, $("density"), $("head"));
    this.panel = new Panel(model, this.clock, { track: $("track"), crossings: $("crossings"), crossed: $("crossed") }, {
      time: (at, track) => { this.player.pause(); this.select(track ?? this.selected); this.player.seek(at); },
      track: (track) => { this.player.pause(); this.select(track); this.player.seek(track.from); },
      crossing: (crossing) => { this.player.pause(); this.select(crossing.track, false); this.player.seekAfter(crossing.at); },
    });
    this.player = new Player(model, [$("video-a"), $("video-b")], {
      frame: (at) => this.shown(at), seek: (at) => this.clockTo(at), state: () => this.state(),
      piece: (piece) => this.pieceIs(piece), size: (width, height) => this.shape(width, height),
      gap: (gap) => this.say(`No footage for ${duration(gap)}: skipped.`), beginning: () => this.filter.from,
    });
    this.buildTally();
    this.wire();
    this.filterChanged();
    this.panel.noTrack("Click somebody in the picture, or press T, to see where else they were.");
    this.fromAddress();
    window.addEventListener("hashchange", () => this.fromAddress());
    new ResizeObserver(() => this.redraw()).observe($("stage"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.timeline.draw(this.filter));
  }

  fromAddress() {
    const asked = new URLSearchParams(location.hash.slice(1)), track = this.model.byId.get(asked.get("track"));
    const at = (Date.parse(asked.get("at")) - this.model.from) * 10;
    if (track) this.select(track);
    this.player.seek(Number.isFinite(at) ? at : track ? track.from : this.player.wanted);
  }

  // What changes with the frame.
  shown(at) {
    this.counts = this.passed.map((both) => both.map((times) => lastNotAfter(times, at) + 1));
    const inside = this.model.zones.map(() => 0);
    for (const visit of this.visits) if (visit.from <= at + SAME && at <= visit.until + SAME) inside[visit.zone] += 1;
    this.inside = inside;
    this.tally();
    this.redraw(false);
    this.clockTo(at);
    this.panel.mark(at);
    const now = performance.now();
    if (!this.player.playing || now - (this.listed ?? 0) > 300) { this.listed = now; this.listVisible(); }
    document.body.dataset.shown = String(at);
  }

  // The counts as text: for whoever cannot see them in the picture, or on a small screen.
  tally() {
    this.counts.forEach((both, i) => both.forEach((count, k) => { this.cells[i][k].textContent = String(count); }));
    this.inside.forEach((count, i) => { this.zoneCells[i].textContent = String(count); });
  }

  buildTally() {
    const cell = () => element("b", {}, "0");
    this.cells = this.model.lines.map(() => [cell(), cell()]);
    this.zoneCells = this.model.zones.map(cell);
    const row = (...parts) => element("span", {}, ...parts);
    $("tally").append(
      ...this.model.lines.map((line, i) => element("li", {}, element("strong", {}, line.name),
        row(element("span", { class: "forward" }, line.forward), " ", this.cells[i][0]),
        row(element("span", { class: "backward" }, line.backward), " ", this.cells[i][1]))),
      ...this.model.zones.map((zone, i) => element("li", {}, element("strong", {}, zone.name), row("inside ", this.zoneCells[i]))),
    );
    $("tallies").hidden = !this.model.lines.length && !this.model.zones.length;
  }

  redraw(whole = true) {
    const { filter, shows, selected, counts, inside } = this;
    if (!counts) return;
    const matches = (track) => filter.matches(track);
    this.drawing.draw(this.player.piece, this.player.shown, { matches, shows, selected, counts, inside });
    if (whole) this.timeline.draw(filter);
  }

  clockTo(at) {
    const instant = this.clock.instant(at);
    $("time").textContent = this.clock.tenths(at);
    $("time").setAttribute("datetime", instant.toISOString());
    $("date").textContent = `${this.clock.date(at)}, ${this.clock.zone(at)}`;
    this.timeline.move(at);
    const slider = $("timeline");
    slider.setAttribute("aria-valuenow", (at / TICKS).toFixed(1));
    slider.setAttribute("aria-valuetext", `${this.clock.time(at)}, ${this.clock.date(at)}`);
  }

  state() {
    const playing = this.player.playing;
    $("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    $("play-icon").setAttribute("href", playing ? "#icon-pause" : "#icon-play");
  }

  pieceIs(piece) {
    $("stage").classList.toggle("plain", !piece.src);
    $("note").textContent = piece.note ?? "";
    $("note").hidden = !piece.note;
    if (!piece.src) this.shape(piece.width, piece.height);
  }

  shape(width, height) {
    $("stage").style.setProperty("--ratio", String(width / height));
  }

  select(track, show = true) {
    this.selected = track ?? null;
    if (track) this.panel.track(track);
    else this.panel.noTrack("Click somebody in the picture, or press T, to see where else they were.");
    if (track && show) this.openTab("track");
    if (track) this.say(`${track.class} ${track.short} chosen`);
    this.redraw(false);
    this.listVisible();
  }

  nextTrack(by) {
    const seen = this.drawing.visible.map((each) => each.track);
    if (!seen.length) { this.say("Nobody is in the picture now."); return; }
    const at = seen.indexOf(this.selected);
    this.player.pause();
    this.select(seen[(at < 0 ? (by > 0 ? 0 : seen.length - 1) : at + by + seen.length) % seen.length]);
  }

  listVisible() {
    const seen = this.drawing.visible.map((each) => each.track), list = $("visible");
    const key = seen.map((track) => track.i).join() + `/${this.selected?.i}`;
    if (key === this.visibleKey) return;
    this.visibleKey = key;
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.track : null;
    list.replaceChildren(...seen.slice(0, 60).map((track) => element("li", {}, element("button", {
      type: "button", "data-track": track.i, "aria-pressed": String(track === this.selected),
      onclick: () => { this.player.pause(); this.select(track); },
    }, element("span", { class: "swatch", style: `background:${track.colour}` }), `${track.class} ${track.short}`))));
    if (focused !== null) list.querySelector(`[data-track="${focused}"]`)?.focus();
    $("nobody").hidden = seen.length > 0;
  }

  crossing(by) {
    const wanted = this.model.crossings.filter((one) => this.filter.matches(one.track) && this.filter.within(one.at));
    // The frame shown after a seek is the first one behind the crossing: those of the frame before are earlier.
    const at = this.player.wanted, times = this.player.piece.times, before = times[lastNotAfter(times, at + SAME) - 1] ?? at;
    const found = by > 0 ? wanted.find((one) => one.at > at + SAME) : wanted.findLast((one) => one.at <= before + SAME);
    if (!found) { this.say(by > 0 ? "No later crossing." : "No earlier crossing."); return; }
    this.player.pause();
    this.select(found.track, false);
    this.player.seekAfter(found.at);
    this.say(`${found.track.class} crosses ${found.line.name}, ${found.direction}`);
  }

  filterChanged() {
    const { model, filter } = this;
    $("since").textContent = `Crossed since ${this.clock.time(filter.from)}`;
    this.passed = model.lines.map(() => [[], []]);
    for (const one of model.crossings) {
      if (filter.matches(one.track) && filter.within(one.at)) {
        this.passed[model.lines.indexOf(one.line)][one.forward ? 0 : 1].push(one.at);
      }
    }
    this.visits = model.visits.filter((visit) => filter.matches(visit.track));
    this.player.stopAt = filter.until < model.until ? filter.until : null;
    this.panel.crossings(filter);
    $("filter-on").hidden = !filter.isOn;
    const count = model.tracks.filter((track) => filter.matches(track)).length;
    $("matching").textContent = `${count} of ${model.tracks.length} tracks`;
    const window = filter.from > 0 || filter.until < model.until;
    $("window").textContent = window ? `${this.clock.time(filter.from)} to ${this.clock.time(filter.until)}` : "the whole span";
    if (this.counts) this.shown(this.player.shown);
    this.timeline.draw(filter);
  }

  limit(edge) {
    const at = this.player.wanted;
    if (edge === "from") { this.filter.from = at; if (this.filter.until <= at) this.filter.until = this.model.until; }
    else { this.filter.until = at; if (this.filter.from >= at) this.filter.from = 0; }
    this.filterChanged();
  }

  clearFilter() {
    this.filter = Object.assign(this.filter, { hidden: new Set(), text: "", from: 0, until: this.model.until });
    for (const box of document.querySelectorAll("#classes input")) box.checked = true;
    $("identity").value = "";
    this.filterChanged();
  }

  openTab(name) {
    for (const tab of document.querySelectorAll('[role="tab"]')) {
      const open = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", String(open));
      tab.tabIndex = open ? 0 : -1;
      $(tab.getAttribute("aria-controls")).hidden = !open;
    }
    if (name === "crossings") this.panel.show(this.player.shown);
  }

  say(sentence) { $("status").textContent = sentence; }

  seekBy(seconds) { this.player.seek(Math.max(0, this.player.wanted + seconds * TICKS)); }

  toggle() { if (this.player.playing) this.player.pause(); else this.player.play(); }

  wire() {
    const press = { play: () => this.toggle(), back: () => this.player.step(-1), on: () => this.player.step(1),
      "second-back": () => this.seekBy(-10), "second-on": () => this.seekBy(10), previous: () => this.crossing(-1),
      next: () => this.crossing(1), help: () => $("keys").showModal(), "close-help": () => $("keys").close(),
      clear: () => this.clearFilter(), "filter-on": () => this.clearFilter(),
      "from-here": () => this.limit("from"), "to-here": () => this.limit("until") };
    for (const [id, act] of Object.entries(press)) $(id).addEventListener("click", act);
    $("rate").addEventListener("change", () => this.player.setRate(Number($("rate").value)));
    $("over").addEventListener("click", (event) => {
      const touched = event.pointerType === "touch" || matchMedia("(pointer: coarse)").matches;
      const track = this.drawing.trackAt(event.clientX, event.clientY, touched ? 12 : 3);
      this.select(track);
      if (track) this.player.pause();
    });
    this.wireTimeline();
    this.wireFilter();
    for (const tab of document.querySelectorAll('[role="tab"]')) {
      tab.addEventListener("click", () => this.openTab(tab.id.slice(4)));
      tab.addEventListener("keydown", (event) => this.tabKey(event, tab));
    }
    document.addEventListener("keydown", (event) => this.key(event));
  }

  wireTimeline() {
    const slider = $("timeline");
    const seek = (event) => this.player.seek(this.timeline.at(event.clientX));
    slider.addEventListener("pointerdown", (event) => {
      slider.setPointerCapture(event.pointerId);
      this.wasPlaying = this.player.playing;
      this.player.pause();
      seek(event);
    });
    slider.addEventListener("pointermove", (event) => { if (slider.hasPointerCapture(event.pointerId)) seek(event); });
    slider.addEventListener("pointerup", () => { if (this.wasPlaying) this.player.play(); this.wasPlaying = false; });
  }

  wireFilter() {
    const { model, filter } = this;
    const tally = model.classes.map((name) => model.tracks.filter((track) => track.class === name).length);
    $("classes").append(...model.classes.map((name, i) => element("label", {}, element("input", {
      type: "checkbox", checked: true, value: name,
      onchange: (event) => { filter.hidden[event.target.checked ? "delete" : "add"](name); this.filterChanged(); },
    }), ` ${name} `, element("span", { class: "quiet" }, String(tally[i])))));
    $("known").append(...Object.keys(model.identities).slice(0, 500).map((value) => element("option", { value })));
    $("identity").addEventListener("input", () => { filter.text = $("identity").value.trim(); this.filterChanged(); });
    for (const box of document.querySelectorAll("#shows input")) {
      box.addEventListener("change", () => { this.shows[box.value] = box.checked; this.redraw(false); });
    }
  }

  tabKey(event, tab) {
    const tabs = [...document.querySelectorAll('[role="tab"]')];
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    const next = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length];
    event.preventDefault();
    event.stopPropagation();
    this.openTab(next.id.slice(4));
    next.focus();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
    const target = event.target;
    if (target.matches("select, textarea, input:not([type=checkbox])")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (event.key === " " && target.matches("button, a, input, summary")) return;
    const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.key.length === 1 && event.key !== " " && !$("letters").checked) return;
    const act = { " ": () => this.toggle(), k: () => this.toggle(), j: () => this.seekBy(-10), l: () => this.seekBy(10),
      ArrowLeft: () => (event.shiftKey ? this.seekBy(-1) : this.player.step(-1)),
      ArrowRight: () => (event.shiftKey ? this.seekBy(1) : this.player.step(1)),
      Home: () => this.player.seek(0), End: () => this.player.seek(this.model.until),
      n: () => this.crossing(1), p: () => this.crossing(-1), t: () => this.nextTrack(event.shiftKey ? -1 : 1),
      f: () => { this.openTab("filter"); $("identity").focus(); }, i: () => this.limit("from"), o: () => this.limit("until"),
      Escape: () => this.select(null), "?": () => $("keys").showModal() }[letter];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

async function begin() {
  if (!("DecompressionStream" in window)) {
    $("status").textContent = "This browser is too old for this page: use one of 2023 or later.";
    return;
  }
  const model = await readModel(JSON.parse($("data").textContent));
  window.viewer = new Page(model);
}
begin();
