// Faults of charts: what every reader needs, and where the parts lie.
() => {
  const faults = [];
  for (const chart of document.querySelectorAll("svg.chart, svg[role=img]")) {
    const title = chart.querySelector(":scope > title")?.textContent.trim() ?? "";
    const name = `chart "${title || chart.textContent.trim().slice(0, 30)}"`;
    if (!title) faults.push(`${name} has no title`);
    if (chart.getAttribute("role") !== "img") faults.push(`${name} has not the role of an image`);
    const told = chart.getAttribute("aria-label") ?? chart.querySelector(":scope > desc")?.textContent ?? "";
    if (told.trim().length <= title.length) faults.push(`${name} is not described in words`);
    if (/NaN|Infinity|undefined/.test(chart.outerHTML)) faults.push(`${name} has a number that is none`);
    const box = chart.viewBox.baseVal;
    const seen = chart.getBoundingClientRect();
    if (!box || box.width < 50 || box.height < 20 || seen.width < 50 || seen.height < 20) {
      faults.push(`${name} has no extent`);
      continue;
    }
    const parts = [...chart.querySelectorAll("rect, circle, line, path, polyline, polygon, text")];
    if (!parts.some((part) => part.tagName !== "text")) faults.push(`${name} shows nothing`);
    for (const part of parts) {
      const { x, y, width, height } = part.getBBox();
      const inside = x >= box.x - 2 && y >= box.y - 2 && x + width <= box.x + box.width + 2 && y + height <= box.y + box.height + 2;
      if (!inside) faults.push(`${name}: a ${part.tagName} "${part.textContent}" lies outside, at ${x}, ${y}, ${width} by ${height}`);
    }
    const units = / (ns|us|ms|s|B|KiB|MiB|GiB)$|^[\d,.]+$/;
    const texts = [...chart.querySelectorAll("text")].map((text) => text.textContent.trim());
    if (texts.some((text) => text === "")) faults.push(`${name} has an empty label`);
    if (!texts.some((text) => units.test(text))) faults.push(`${name} has no value with a unit`);
  }
  return faults.slice(0, 20);
}
