// Faults: the page is wider than a phone's screen, and which elements make it so; cells of tables that are so narrow that
// they break every word.
() => {
  const wide = 360;
  const letters = (element) => element.textContent.trim().length;
  // Of text alone, as the box of inline code begins at another height than the text in it.
  const lines = (element) => {
    const middles = [];
    const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const range = document.createRange();
      range.selectNodeContents(texts.currentNode);
      middles.push(...[...range.getClientRects()].map((box) => box.top + box.height / 2));
    }
    middles.sort((one, other) => one - other);
    return middles.filter((middle, at) => at === 0 || middle - middles[at - 1] > 8).length;
  };
  const broken = [...document.body.querySelectorAll("th, td")]
    .filter((cell) => letters(cell) >= 6 && !cell.querySelector("br, li, p, div"))
    .filter((cell) => lines(cell) > Math.max(letters(cell) / 3, cell.textContent.trim().split(/[\s/-]+/).length))
    .slice(0, 5)
    .map((cell) => `"${cell.textContent.trim().slice(0, 30)}" stands in ${lines(cell)} lines`);
  if (document.documentElement.scrollWidth <= wide) return broken;
  const scrolls = (element) => {
    for (let at = element.parentElement; at && at !== document.body; at = at.parentElement) {
      if (getComputedStyle(at).overflowX !== "visible") return true;
    }
    return false;
  };
  const far = [...document.body.querySelectorAll("*")].filter(
    (element) => element.getBoundingClientRect().right > wide + 1 && !scrolls(element),
  );
  const names = far.slice(0, 5).map((element) => `${element.tagName.toLowerCase()} "${element.textContent.trim().slice(0, 30)}"`);
  return [...broken, `it is ${document.documentElement.scrollWidth} px wide on a screen of ${wide} px: ${names.join(", ")}`];
}
