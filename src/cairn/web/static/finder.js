// The finder at once: the list of paths is fetched one time, then every key ranks it here. The rules of ranking are
// those of cairn/repositories/code/fuzzy.py: both must show the same list.

const QUERY_CHARACTERS_MAX = 100;
const SCORED_MAX = 2000;
const finder = document.querySelector("[data-finder]");
const input = finder.querySelector("input[name=q]");
const list = finder.querySelector(".finder-list");
const status = finder.querySelector("[role=status]");
const none = finder.querySelector(".finder-none") ?? Object.assign(document.createElement("p"), { className: "finder-none" });
const most = Number(finder.dataset.max);
const icon = list.querySelector("svg");

const lower = (text) => {
  const lowered = text.toLowerCase();
  return lowered.length === text.length ? lowered : text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
};
const normalise = (query) => lower(query.replace(/\s+/gu, "")).slice(0, QUERY_CHARACTERS_MAX);

function hasInOrder(lowered, wanted) {
  let at = -1;
  for (const letter of wanted) {
    at = lowered.indexOf(letter, at + 1);
    if (at < 0) return false;
  }
  return true;
}

function positionsOf(lowered, wanted) {
  const start = lowered.lastIndexOf(wanted);
  if (start >= 0) return Array.from({ length: wanted.length }, (_, index) => start + index);
  const found = [];
  let end = lowered.length;
  for (let index = wanted.length - 1; index >= 0; index -= 1) {
    end = lowered.lastIndexOf(wanted[index], end - 1);
    found.push(end);
  }
  return found.reverse();
}

function scoreOf(path, lowered, wanted, positions) {
  const base = path.lastIndexOf("/") + 1;
  const name = lowered.slice(base);
  let score = -0.1 * path.length;
  if (name === wanted) score += 200;
  else if (name.startsWith(`${wanted}.`)) score += 120;
  let before = -2;
  for (const position of positions) {
    score += 1 + (position === before + 1 ? 5 : 0) + (position >= base ? 4 : 0);
    if (position === 0 || "/_-. ".includes(path[position - 1])) score += 8;
    else if (/\p{Lu}/u.test(path[position]) && /\p{Ll}/u.test(path[position - 1])) score += 8;
    before = position;
  }
  return score;
}

const byPath = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

export function rank(paths, lowered, query, max) {
  const wanted = normalise(query);
  if (!wanted) return { matches: paths.slice(0, max).map((path) => ({ path, positions: [] })), total: paths.length };
  const tiers = [
    (line) => !wanted.includes("/") && line.lastIndexOf(wanted) > line.lastIndexOf("/"),
    (line) => line.includes(wanted),
    (line) => hasInOrder(line, wanted),
  ];
  const found = [];
  const seen = new Uint8Array(paths.length);
  let total = 0;
  for (const fits of tiers) {
    let fitting = [];
    for (let index = 0; index < paths.length; index += 1) {
      if (seen[index] || !fits(lowered[index])) continue;
      seen[index] = 1;
      fitting.push(index);
    }
    total += fitting.length;
    if (fitting.length > SCORED_MAX) {
      fitting.sort((one, other) => paths[one].length - paths[other].length || one - other);
      fitting = fitting.slice(0, SCORED_MAX);
    }
    const tier = fitting.map((index) => {
      const positions = positionsOf(lowered[index], wanted);
      return { path: paths[index], positions, score: scoreOf(paths[index], lowered[index], wanted, positions) };
    });
    tier.sort((one, other) => other.score - one.score || byPath(one.path, other.path));
    found.push(...tier.slice(0, max - found.length));
    if (found.length >= max) break;
  }
  return { matches: found, total };
}

const number = new Intl.NumberFormat("en");
const shown = (text) => text.replaceAll("%25", "%");
const hrefOf = (path) => {
  const kept = path.split(/(%[0-9A-F]{2}|\/)/).map((piece, index) => (index % 2 ? piece : encodeURIComponent(piece)));
  return `${finder.dataset.blob}/${kept.join("")}`;
};

function optionOf({ path, positions }, index) {
  const option = document.createElement("a");
  option.href = hrefOf(path);
  option.id = `finder-${index}`;
  option.tabIndex = -1;
  option.setAttribute("role", "option");
  if (icon) option.append(icon.cloneNode(true));
  const words = document.createElement("span");
  const matched = new Set(positions);
  let start = 0;
  while (start < path.length) {
    let end = start + 1;
    while (end < path.length && matched.has(end) === matched.has(start)) end += 1;
    const piece = shown(path.slice(start, end));
    if (matched.has(start)) words.append(Object.assign(document.createElement("mark"), { textContent: piece }));
    else words.append(piece);
    start = end;
  }
  option.append(words);
  return option;
}

let selected = 0;
let ranked = null;

function select(index) {
  const options = list.children;
  options[selected]?.setAttribute("aria-selected", "false");
  selected = options.length ? (index + options.length) % options.length : 0;
  const option = options[selected];
  option?.setAttribute("aria-selected", "true");
  if (option) input.setAttribute("aria-activedescendant", option.id);
  else input.removeAttribute("aria-activedescendant");
  option?.scrollIntoView({ block: "nearest" });
}

function show(paths, lowered) {
  ranked = input.value;
  const { matches, total } = rank(paths, lowered, ranked, most);
  list.replaceChildren(...matches.map(optionOf));
  for (const option of list.children) option.setAttribute("aria-selected", "false");
  none.textContent = input.value ? "No file is like that." : "There are no files.";
  if (matches.length) none.remove();
  else list.after(none);
  input.setAttribute("aria-expanded", String(matches.length > 0));
  const more = total > matches.length ? `, the first ${matches.length} here` : "";
  const words = input.value.trim() ? (total === 1 ? "file matches" : "files match") : total === 1 ? "file" : "files";
  status.textContent = `${number.format(total)}${input.value.trim() && more ? "+" : ""} ${words}${more}`;
  select(0);
  const query = input.value ? `?q=${encodeURIComponent(input.value)}` : "";
  history.replaceState(null, "", location.pathname + query);
}

async function begin() {
  const answer = await fetch(finder.dataset.finder);
  if (!answer.ok) return;
  const text = await answer.text();
  const paths = text ? text.split("\n") : [];
  const whole = lower(text);
  const lowered = whole.length === text.length && text ? whole.split("\n") : paths.map(lower);
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Files");
  for (const [name, value] of [["role", "combobox"], ["aria-controls", list.id], ["aria-autocomplete", "list"]]) {
    input.setAttribute(name, value);
  }
  let frame = 0;
  input.addEventListener("input", () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => show(paths, lowered));
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      select(selected + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Escape" && input.value) {
      event.preventDefault();
      input.value = "";
      show(paths, lowered);
    }
  });
  input.form.addEventListener("submit", (event) => {
    event.preventDefault();
    cancelAnimationFrame(frame);
    if (input.value !== ranked) show(paths, lowered);
    list.children[selected]?.click();
  });
  show(paths, lowered);
  finder.dataset.ready = "";
}

input.focus();
begin();
