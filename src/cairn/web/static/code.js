// Pages of code: lines that are chosen and linked to, copying, long lines wrapped. Keys (data-hotkey) are app.js's.
// Everything here has a way without it: links, forms, and the browser's own selection.

const area = document.querySelector("[data-lines]");
const tools = document.querySelector("[data-line-tools]");
const status = document.querySelector("[data-line-status]");
const say = (words) => {
  if (status) status.textContent = words;
};

// Chosen lines are the address's fragment, #L12 or #L12-L20; "anchor" is where a range began.
let chosen = null;
let anchor = 0;
let current = 0;

const linkOf = (number) => document.querySelector(`#L${number} .code-number a`);
const fragmentOf = ([from, to]) => (from === to ? `#L${from}` : `#L${from}-L${to}`);
const wordsOf = ([from, to]) => (from === to ? `Line ${from}` : `Lines ${from} to ${to}`);

function readFragment() {
  const found = /^#L(\d+)(?:-L(\d+))?$/.exec(location.hash);
  if (!found) return null;
  const ends = [Number(found[1]), Number(found[2] ?? found[1])].sort((a, b) => a - b);
  return ends[0] > 0 ? ends : null;
}

function paint(range) {
  for (const row of area.querySelectorAll("tr.is-selected")) row.classList.remove("is-selected");
  chosen = range;
  tools.hidden = !range;
  if (!range) return;
  for (let number = range[0]; number <= range[1]; number += 1) {
    document.getElementById(`L${number}`)?.classList.add("is-selected");
  }
  tools.querySelector("[data-line-words]").textContent = wordsOf(range);
  const link = tools.querySelector("[data-copy-link]");
  link.dataset.copy = new URL(link.dataset.copyLink + partOf(range[0]) + fragmentOf(range), location.href).href;
  const other = tools.querySelector("[data-lines-at]");
  if (other) other.href = other.getAttribute("href").split(/[?#]/)[0] + partOf(range[0]) + fragmentOf(range);
  for (const element of document.querySelectorAll("[data-keeps-lines]")) {
    element.href = element.getAttribute("href").split(/[?#]/)[0] + partOf(range[0]) + fragmentOf(range);
  }
}

// Far down in a long text lines stand on pages of their own.
function partOf(number) {
  const size = Number(area.dataset.perPart);
  return number > size ? `?first=${Math.floor((number - 1) / size) * size + 1}` : "";
}

function choose(range, { tell = true } = {}) {
  history.replaceState(null, "", location.pathname + location.search + (range ? fragmentOf(range) : ""));
  paint(range);
  if (tell) say(range ? `${wordsOf(range)} chosen` : "No lines chosen");
}

function chooseTo(number, extends_) {
  if (extends_ && anchor) choose([Math.min(anchor, number), Math.max(anchor, number)]);
  else {
    anchor = number;
    choose([number, number]);
  }
  rove(number);
}

// One number is in the order of Tab; the arrows move from it to the others.
function rove(number) {
  const link = linkOf(number);
  if (!link) return null;
  if (current) linkOf(current)?.setAttribute("tabindex", "-1");
  link.setAttribute("tabindex", "0");
  current = number;
  return link;
}

function follow() {
  const range = readFragment();
  if (!range) {
    paint(null);
    return;
  }
  const [first, last, total] = ["first", "last", "total"].map((name) => Number(area.dataset[name]));
  if ((range[0] < first || range[0] > last) && range[0] <= total) {
    const query = new URLSearchParams(location.search);
    const part = partOf(range[0]).slice("?first=".length);
    if (part) query.set("first", part);
    else query.delete("first");
    location.replace(`${location.pathname}${query.size ? `?${query}` : ""}${fragmentOf(range)}`);
    return;
  }
  paint(range);
  anchor = range[0];
  rove(range[0]);
  document.getElementById(`L${range[0]}`)?.scrollIntoView({ block: "center" });
}

if (area && tools) {
  rove(Number(area.dataset.first));
  follow();
  addEventListener("hashchange", follow);

  area.addEventListener("click", (event) => {
    const link = event.target.closest(".code-number a");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    chooseTo(Number(link.dataset.line), event.shiftKey);
  });

  area.addEventListener("keydown", (event) => {
    const link = event.target.closest(".code-number a");
    if (!link) return;
    const number = Number(link.dataset.line);
    const [first, last] = [Number(area.dataset.first), Number(area.dataset.last)];
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: first - number, End: last - number };
    if (event.key === " ") {
      event.preventDefault();
      chooseTo(number, event.shiftKey);
    } else if (event.key in steps) {
      event.preventDefault();
      const wanted = Math.min(last, Math.max(first, number + steps[event.key]));
      if (event.shiftKey) {
        if (!chosen) anchor = number;
        chooseTo(wanted, true);
      }
      rove(wanted)?.focus();
    } else if (event.key === "Escape" && chosen) choose(null);
  });

  tools.querySelector("[data-clear-lines]").addEventListener("click", () => {
    const back = linkOf(current);
    choose(null);
    back?.focus();
  });

  tools.querySelector("[data-copy-lines]").addEventListener("click", async () => {
    const lines = [];
    for (let number = chosen[0]; number <= chosen[1]; number += 1) {
      const row = document.getElementById(`L${number}`);
      if (row) lines.push(row.querySelector(".code-text").textContent.replace("\n", ""));
    }
    await navigator.clipboard.writeText(lines.join("\n"));
    say(`${wordsOf(chosen)} copied`);
  });
}

document.addEventListener("click", async (event) => {
  const copies = event.target.closest?.("[data-copy-from]");
  if (copies) {
    // Promised to the clipboard within the click: some browsers take nothing later.
    const text = fetch(copies.dataset.copyFrom).then(async (answer) => new Blob([await answer.text()], { type: "text/plain" }));
    try {
      await navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
      copies.classList.add("is-copied");
      setTimeout(() => copies.classList.remove("is-copied"), 1600);
    } catch {
      location.assign(copies.dataset.copyFrom);
    }
    return;
  }
  const permalink = event.target.closest?.("[data-permalink]");
  if (permalink && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    history.replaceState(null, "", permalink.getAttribute("href") + location.search + location.hash);
    permalink.closest("details")?.removeAttribute("open");
    say("The address now names this commit");
  }
});

// Long lines: as chosen last on this device.
const wrap = document.querySelector("[data-wrap]");
if (wrap && area) {
  const show = (on) => {
    area.classList.toggle("is-wrapped", on);
    wrap.setAttribute("aria-pressed", String(on));
  };
  const remembered = () => {
    try {
      return localStorage.getItem("cairn_wrap") === "1";
    } catch {
      return false;
    }
  };
  show(remembered());
  wrap.addEventListener("click", () => {
    const on = wrap.getAttribute("aria-pressed") !== "true";
    show(on);
    try {
      localStorage.setItem("cairn_wrap", on ? "1" : "0");
    } catch {
      // Nothing is kept where a browser keeps nothing.
    }
  });
}
