// Faults: answers as in a row of the table do not lead to what the row says.
() => {
  const form = document.querySelector("form.questions");
  let next = document.getElementById("questions");
  while (next && !(next.matches("table") || next.querySelector("table"))) next = next.nextElementSibling;
  if (!next) return ["there is no table"];
  const table = next.matches("table") ? next : next.querySelector("table");
  const text = (cell) => cell.textContent.trim();
  const heads = [...table.tHead.rows[0].cells].map(text);
  const asked = [...heads.keys()].filter((at) => heads[at].endsWith("?"));
  const again = [...document.querySelectorAll("button")].find((button) => text(button) === "Start again");
  if (!again) return ["there is no way to start again"];
  const faults = [];
  for (const row of table.tBodies[0].rows) {
    again.click();
    if ([...table.tBodies[0].rows].some((other) => other.hidden)) faults.push("rows stay hidden after a new start");
    const answers = asked.map((at) => [heads[at], text(row.cells[at])]).filter(([, answer]) => answer !== "any");
    for (const [question, answer] of answers) {
      const field = [...form.querySelectorAll("fieldset")].find((field) => text(field.querySelector("legend")) === question);
      const input = field && [...field.querySelectorAll("input")].find((input) => input.value === answer);
      if (input && !input.disabled && !field.disabled) input.click();
      else faults.push(`"${question}" cannot be answered by "${answer}"`);
    }
    const told = text(document.querySelector(".answer"));
    const wanted = text(row.cells[asked.length]);
    if (row.hidden || !told.includes(wanted)) faults.push(`${answers.map(([, answer]) => answer).join(", ")}: "${told.slice(0, 60)}" and not "${wanted}"`);
  }
  again.click();
  return faults.slice(0, 10);
}
