"use strict";
(() => {
  const units = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, B: 1, KiB: 1024, MiB: 1048576, GiB: 1073741824 };
  const number = (text) => {
    const found = /^~?(-?[\d,]*\.?\d+)(?: ([A-Za-z]+))?/.exec(text);
    return found ? parseFloat(found[1].replaceAll(",", "")) * (units[found[2]] ?? 1) : null;
  };
  const text = (row, column) => row.cells[column].textContent.trim();
  const words = new Intl.Collator("en", { numeric: true });
  const compare = (is_figure, column, sign) => (one, other) => {
    const [a, b] = [text(one, column), text(other, column)];
    if (!is_figure) return sign * words.compare(a, b);
    const [x, y] = [number(a), number(b)];
    // Cells without a number come last in either order.
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (x - y);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
        heads.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", order);
        const body = table.tBodies[0];
        const sign = order === "ascending" ? 1 : -1;
        body.append(...[...body.rows].sort(compare(head.classList.contains("figure"), column, sign)));
      });
    });
  }
  // What is folded is printed as well.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((folded) => (folded.open = true));
  });
  addEventListener("afterprint", () => opened.forEach((folded) => (folded.open = false)));
})();
