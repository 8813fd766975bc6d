const table = document.querySelector(".found"), body = table.tBodies[0];
const search = document.querySelector("#search"), level = document.querySelector("#level"), count = document.querySelector("#count");
const rows = [...body.rows].map(row => ({row, text: row.textContent.toLowerCase(), level: row.dataset.level}));

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const {row, text, level: own} of rows) {
    const hit = (!level.value || own === level.value) && words.every(word => text.includes(word));
    row.hidden = !hit;
    shown += hit;
  }
  count.textContent = `${shown.toLocaleString()} of ${rows.length.toLocaleString()}`;
}

function sort(head) {
  const place = head.cellIndex, numbers = head.classList.contains("n");
  const up = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "descending" : !numbers;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const cell = ({row}) => row.cells[place].textContent;
  const order = numbers ? (a, b) => cell(a) - cell(b) : (a, b) => cell(a).localeCompare(cell(b), "en");
  rows.sort((a, b) => up ? order(a, b) : order(b, a));
  body.append(...rows.map(({row}) => row));
}

search.addEventListener("input", filter);
level.addEventListener("change", filter);
for (const head of table.tHead.rows[0].cells) head.querySelector("button").addEventListener("click", () => sort(head));
filter();
