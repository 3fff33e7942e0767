// Faults: the page is wider than a phone's screen, and which elements make it so.
() => {
  const wide = 360;
  if (document.documentElement.scrollWidth <= wide) return [];
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
  return [`it is ${document.documentElement.scrollWidth} px wide on a screen of ${wide} px: ${names.join(", ")}`];
}
