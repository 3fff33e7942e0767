// Faults: the column of the marked button is not in the order that was asked for.
(wanted) => {
  const head = document.querySelector("[data-check=sort]").closest("th");
  const stated = head.getAttribute("aria-sort");
  if (stated !== wanted) return [`the head "${head.textContent}" says ${stated} and not ${wanted}`];
  const others = [...head.parentElement.cells].filter((other) => other !== head && other.getAttribute("aria-sort") !== "none");
  if (others.length) return ["another head says that it is sorted, too"];
  const factors = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, B: 1, KiB: 1024, MiB: 1048576, GiB: 1073741824 };
  const cells = [...head.closest("table").tBodies[0].rows].map((row) => row.cells[head.cellIndex].textContent.trim());
  const number = (cell) => {
    const [first, unit] = cell.replace(/^~/, "").split(" ");
    const value = Number(first.replaceAll(",", ""));
    return Number.isNaN(value) ? null : value * (factors[unit] ?? 1);
  };
  const sign = wanted === "ascending" ? 1 : -1;
  const numbers = cells.map(number);
  const faults = [];
  for (let at = 1; at < cells.length; at++) {
    const [one, other] = [numbers[at - 1], numbers[at]];
    const is_wrong = head.classList.contains("figure")
      ? (one === null && other !== null) || (one !== null && other !== null && sign * (other - one) < 0)
      : sign * cells[at].localeCompare(cells[at - 1], "en", { numeric: true }) < 0;
    if (is_wrong) faults.push(`"${cells[at - 1]}" stands before "${cells[at]}"`);
  }
  return faults.slice(0, 5);
}
