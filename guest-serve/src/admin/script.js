// Keeps the table up to date. The server makes the same rows when the page is loaded.
"use strict";

const interval = 2000;

function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1048576 ? `${Math.floor(bytes / 1024)} KiB` : `${Math.floor(bytes / 1048576)} MiB`;
}

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function row(guest) {
  const made = element("tr", undefined, guest.error ? "bad" : "");
  const name = element("th");
  name.scope = "row";
  const link = element("a", guest.name);
  link.href = `/guests/${encodeURIComponent(guest.name)}`;
  name.append(link);
  const counts = guest.counts ?? { tenants: 0, calls: 0, failed: 0, refused: 0, memory: 0 };
  made.append(name, element("td", guest.deployment?.mount ?? ""));
  made.append(element("td", guest.deployment?.version ?? "none", "number"));
  for (const count of [counts.tenants, counts.calls, counts.failed, counts.refused]) made.append(element("td", count, "number"));
  made.append(element("td", size(counts.memory), "number"));
  const program = guest.program;
  const places = program
    ? `${program.awake} awake, ${program.asleep} asleep in ${size(program.memory_bytes)}, ${program.disk} on disk; file: ${size(program.disk_bytes)}`
    : "";
  made.append(element("td", places));
  const errors = element("td");
  if (guest.error) errors.append(element("div", guest.error, "error"));
  const last = guest.last_error;
  if (last) errors.append(element("div", `${last.time} ${last.kind}: ${last.message}`));
  made.append(errors);
  return made;
}

async function update() {
  const told = document.getElementById("folder-error");
  try {
    const response = await fetch("/api/guests");
    if (response.status === 401) return location.reload();
    const answer = await response.json();
    document.getElementById("guests").replaceChildren(...answer.guests.map(row));
    document.getElementById("none").hidden = answer.guests.length > 0;
    told.textContent = answer.error ?? "";
    const store = document.getElementById("store-error");
    store.textContent = answer.store_error ?? "";
    store.hidden = store.textContent === "";
  } catch {
    told.textContent = "the server does not answer; the table is as of its last answer";
  }
  told.hidden = told.textContent === "";
}

setInterval(() => document.hidden || update(), interval);
