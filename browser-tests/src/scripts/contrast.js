// Faults: text whose contrast is below WCAG 2 level AA, by the colours that the browser computed.
() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const colours = new Map();
  // Any colour that CSS can write, as four numbers.
  const parse = (css) => {
    if (!colours.has(css)) {
      const plain = /^rgba?\((\d+), (\d+), (\d+)(?:, ([\d.]+))?\)$/.exec(css);
      if (plain) {
        colours.set(css, [plain[1], plain[2], plain[3], plain[4] ?? 1].map(Number));
      } else {
        pen.clearRect(0, 0, 1, 1);
        pen.fillStyle = css;
        pen.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
        colours.set(css, [r, g, b, a / 255]);
      }
    }
    return colours.get(css);
  };
  const over = ([r, g, b, a], under) => [0, 1, 2].map((at) => [r, g, b][at] * a + under[at] * (1 - a));
  const luminance = (colour) => {
    const [r, g, b] = colour.map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (one, other) => {
    const [a, b] = [luminance(one), luminance(other)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const is_dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const follows = getComputedStyle(document.documentElement).colorScheme.includes("dark");
  const canvas_colour = is_dark && follows ? [18, 18, 18] : [255, 255, 255];
  const grounds = new WeakMap();
  // The colour behind an element's text; null where a picture is behind it.
  const ground = (element) => {
    if (!element) return canvas_colour;
    if (!grounds.has(element)) {
      const style = getComputedStyle(element);
      const below = ground(element.parentElement);
      const has_picture = style.backgroundImage !== "none";
      grounds.set(element, has_picture || !below ? null : over(parse(style.backgroundColor), below));
    }
    return grounds.get(element);
  };
  const faults = new Map();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || ["SCRIPT", "STYLE", "TITLE", "DESC", "NOSCRIPT", "TEMPLATE"].includes(element.tagName.toUpperCase())) continue;
    if (!element.checkVisibility({ contentVisibilityAuto: true, opacityProperty: true, visibilityProperty: true })) continue;
    const under = ground(element);
    if (!under) continue;
    const style = getComputedStyle(element);
    const is_drawn = element.namespaceURI.endsWith("svg");
    const [r, g, b, alpha] = parse(is_drawn ? style.fill : style.color);
    let opacity = alpha;
    for (let at = element; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    const found = ratio(over([r, g, b, opacity], under), under);
    const size = parseFloat(style.fontSize);
    const is_large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const wanted = is_large ? 3 : 4.5;
    if (found < wanted) {
      const of = `${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""}`;
      const key = `${of} ${style.color} on ${under.map(Math.round)}`;
      if (!faults.has(key)) faults.set(key, `"${node.textContent.trim().slice(0, 40)}" in ${key}: ${found.toFixed(2)} to 1`);
    }
  }
  return [...faults.values()].slice(0, 20);
}
