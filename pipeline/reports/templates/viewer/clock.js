// The site's wall clock, and durations as people say them.
function makeClock(model) {
  const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: model.timeZone, ...options });
  const time = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const short = format({ hour: "2-digit", minute: "2-digit" });
  const date = format({ weekday: "short", day: "numeric", month: "short", year: "numeric" });
  const zone = format({ hour: "2-digit", timeZoneName: "shortOffset" });
  const instant = (at) => new Date(model.from + at / 10);
  return {
    instant,
    time: (at) => time.format(instant(at)),
    tenths: (at) => time.format(instant(at)) + "." + Math.floor((((model.from + at / 10) % 1000) + 1000) % 1000 / 100),
    short: (at) => short.format(instant(at)),
    date: (at) => date.format(instant(at)),
    zone: (at) => zone.formatToParts(instant(at)).find((part) => part.type === "timeZoneName").value.replace("GMT", "UTC"),
  };
}

function duration(ticks) {
  const seconds = Math.abs(ticks) / TICKS;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}
