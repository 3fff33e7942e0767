// The page "Which allocator should I take?": makes questions of its table. Without this script the table says the same.
//
// Each column whose head ends with a question mark is a question, and the words in its cells are the answers. A cell `any` fits
// every answer. Rows that contradict an answer are hidden; a question is disabled where no row that is left depends on it.
"use strict";

(function () {
    const place = document.getElementById("questions");
    // The table that follows: the page for printing has those of all pages.
    let next = place && place.nextElementSibling;
    while (next && !next.querySelector("table")) {
        next = next.nextElementSibling;
    }
    if (!next) {
        return;
    }
    const table = next.querySelector("table");
    const ANY = "any";
    const text = (cell) => cell.textContent.trim();
    const heads = Array.from(table.tHead.rows[0].cells, text);
    const columns = Array.from(heads.keys()).filter((at) => heads[at].endsWith("?"));
    const rows = Array.from(table.tBodies[0].rows);
    const given = new Map();

    /** Whether a row agrees with all answers, without those to `except`. */
    const fits = (row, except) =>
        columns.every((at) => {
            const cell = text(row.cells[at]);
            return at === except || !given.has(at) || cell === ANY || cell === given.get(at);
        });

    const form = document.createElement("form");
    form.className = "questions";
    form.setAttribute("aria-label", "Questions");
    const answer = document.createElement("div");
    answer.className = "answer";
    answer.setAttribute("role", "status");
    answer.setAttribute("aria-live", "polite");

    const fieldsets = columns.map((at) => {
        const fieldset = document.createElement("fieldset");
        const legend = document.createElement("legend");
        legend.textContent = heads[at];
        fieldset.append(legend);
        const options = new Set(rows.map((row) => text(row.cells[at])).filter((option) => option !== ANY));
        for (const option of options) {
            const label = document.createElement("label");
            const input = document.createElement("input");
            input.type = "radio";
            input.name = "question-" + at;
            input.value = option;
            input.addEventListener("change", () => {
                given.set(at, option);
                update();
            });
            label.append(input, " " + option);
            fieldset.append(label);
        }
        form.append(fieldset);
        return fieldset;
    });

    const again = document.createElement("button");
    again.type = "button";
    again.textContent = "Start again";
    again.addEventListener("click", () => {
        given.clear();
        form.reset();
        update();
        form.querySelector("input").focus();
    });

    /** The cells of a row behind the questions, with their heads. */
    function conclusion(row) {
        const list = document.createElement("dl");
        for (let at = columns.length; at < heads.length; at++) {
            const term = document.createElement("dt");
            term.textContent = heads[at];
            const value = document.createElement("dd");
            value.append(...Array.from(row.cells[at].childNodes, (node) => node.cloneNode(true)));
            list.append(term, value);
        }
        return list;
    }

    function update() {
        const left = rows.filter((row) => fits(row));
        for (const row of rows) {
            row.hidden = !left.includes(row);
        }
        columns.forEach((at, index) => {
            const matters = rows.some((row) => fits(row, at) && text(row.cells[at]) !== ANY);
            fieldsets[index].disabled = !matters;
            if (!matters && given.delete(at)) {
                fieldsets[index].querySelectorAll("input").forEach((input) => (input.checked = false));
            }
        });
        if (left.length === 1) {
            answer.replaceChildren(conclusion(left[0]));
        } else {
            const takes = new Set(left.map((row) => text(row.cells[columns.length])));
            const choices = Array.from(takes).join("; ");
            if (given.size === 0) {
                answer.textContent =
                    "Answer the questions: the answer appears here, and the table below keeps the rows that fit.";
            } else if (takes.size === 1) {
                answer.textContent = "Take " + choices + ", whatever you answer to the other questions.";
            } else {
                answer.textContent = takes.size + " choices are left: " + choices + ".";
            }
        }
    }

    form.addEventListener("submit", (event) => event.preventDefault());
    form.append(answer, again);
    place.append(form);
    update();
})();
