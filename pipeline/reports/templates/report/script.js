// Niceties; everything can be read without them.
(() => {
  "use strict";
  const tables = [...document.querySelectorAll("details.numbers")];
  const tools = document.querySelector(".tools");
  if (tables.length && tools) {
    const button = document.createElement("button");
    button.type = "button";
    let open = false;
    const label = () => { button.textContent = open ? "Close all number tables" : "Open all number tables"; };
    button.addEventListener("click", () => { open = !open; tables.forEach((each) => { each.open = open; }); label(); });
    label();
    tools.append(" ", button);
  }
  // A chart tells, under it, the row of its table that the pointer is over; who has no pointer reads the table.
  for (const figure of document.querySelectorAll("figure.block")) {
    const plot = figure.querySelector(".plot"), readout = figure.querySelector(".readout");
    const table = figure.nextElementSibling?.querySelector("table");
    if (!plot || !readout || !table) continue;
    const rows = [...table.querySelectorAll("tr[data-at]")];
    const ways = [...table.querySelectorAll("th.group")];
    const told = (row) => {
      const cells = [...row.cells].slice(1, -1), time = row.cells[0].textContent;
      if (cells.length === 1 && cells[0].colSpan > 1) return `${time}: ${cells[0].textContent}`;
      let from = 0;
      const sums = ways.map((way) => {
        const mine = cells.slice(from, from += way.colSpan);
        const known = mine.map((cell) => cell.textContent).filter((text) => text !== "–");
        return `${way.textContent} ${known.length ? known.reduce((sum, text) => sum + Number(text), 0) : "–"}`;
      });
      return `${time}: ${sums.join(", ")}`;
    };
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect(), at = (event.clientX - box.left) / box.width;
      const row = rows.findLast((each) => Number(each.dataset.at) <= at);
      readout.textContent = row ? told(row) : "";
    });
    plot.addEventListener("pointerleave", () => { readout.textContent = ""; });
  }
})();
