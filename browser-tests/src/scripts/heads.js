// Marks the button of the last head of a table, and returns the faults of its heads.
(index) => {
  document.querySelectorAll("[data-check]").forEach((marked) => marked.removeAttribute("data-check"));
  const table = document.querySelectorAll("table.sortable")[index];
  const heads = [...table.tHead.rows[0].cells];
  const faults = [];
  for (const head of heads) {
    const button = head.querySelector("button");
    if (!button || button.tabIndex < 0) faults.push(`the head "${head.textContent}" has no button that keys reach`);
    else if (!head.hasAttribute("aria-sort")) faults.push(`the head "${head.textContent}" does not say its order`);
  }
  heads.at(-1).querySelector("button")?.setAttribute("data-check", "sort");
  heads.at(-1).scrollIntoView({ block: "center", inline: "center" });
  return faults;
}
