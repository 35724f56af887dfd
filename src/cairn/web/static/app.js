// Everything works without this file; with it some things are nearer.

const root = document.documentElement;
root.classList.add("has-script");

// Light and dark: the link leads to a page with the choice, a click here just switches.
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches);

function switchTheme() {
  const wanted = isDark() ? "light" : "dark";
  const followsSystem = (wanted === "dark") === prefersDark.matches;
  if (followsSystem) delete root.dataset.theme;
  else root.dataset.theme = wanted;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `cairn_theme=${followsSystem ? "auto" : wanted}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    const field = button.closest(".copyable")?.querySelector("input");
    field?.select();
    if (!field || !document.execCommand("copy")) return;
  }
  button.classList.add("is-copied");
  setTimeout(() => button.classList.remove("is-copied"), 1600);
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (menu !== except && !menu.contains(except)) menu.open = false;
  }
}

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const theme = target?.closest("[data-theme-switch]");
  if (theme && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
    event.preventDefault();
    switchTheme();
  }
  const copies = target?.closest("[data-copy]");
  if (copies) copy(copies);
  closeMenus(target);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details[data-menu][open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary")?.focus();
});

// The clone box shows one address at a time.
document.addEventListener("change", (event) => {
  const url = event.target.dataset?.cloneUrl;
  if (!url) return;
  const box = event.target.closest(".clone-box");
  box.querySelector(".copyable input").value = url;
  box.querySelector("[data-copy]").dataset.copy = url;
});

// Where a bar of tabs is wider than the window, the one of this page is in sight.
for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
  const bar = tab.closest(".tabs");
  bar.scrollLeft += Math.max(0, tab.getBoundingClientRect().right + 32 - bar.getBoundingClientRect().right);
}

// A field that copies is selected whole when it is entered.
document.addEventListener("focusin", (event) => {
  if (event.target.matches?.(".copyable input")) event.target.select();
});

// "3 minutes ago" stays true on a page that stays open.
const units = [["minute", 60], ["hour", 3600], ["day", 86400]];
const words = new Intl.RelativeTimeFormat("en", { numeric: "always" });

function refreshTimes() {
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const seconds = (Date.now() - Date.parse(element.dateTime)) / 1000;
    if (seconds < 45 || seconds > 30 * 86400) continue;
    const [unit, size] = units.findLast(([, size]) => seconds >= size) ?? units[0];
    element.textContent = words.format(-Math.max(1, Math.round(seconds / size)), unit);
  }
}
setInterval(refreshTimes, 60_000);

// Keys. An element with data-hotkey="g c" is pressed, or entered if it is a field; alternatives stand behind ", ". For
// keys that no element has, a script of the page may listen to the event "hotkey". None works while somebody writes, in a
// dialog, or where the person switched them off.
const SEQUENCE_MILLISECONDS = 2000;
let begun = "";
let begunAt = 0;

const keysOf = (element) => element.dataset.hotkey.split(", ");
const hotkeys = () => [...document.querySelectorAll("[data-hotkey]")];

function press(keys) {
  // The last has it: what a page offers stands behind what every page does.
  const element = hotkeys().findLast((one) => keysOf(one).includes(keys) && (one.checkVisibility() || !one.matches("input")));
  if (!element) return !document.dispatchEvent(new CustomEvent("hotkey", { detail: keys, cancelable: true }));
  if (element.matches("input, textarea, select")) element.focus();
  else element.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (root.dataset.hotkeys === "off" || event.defaultPrevented || event.isComposing || event.key.length > 1) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, dialog, [contenteditable]")) return;
  const follows = begun && event.timeStamp - begunAt < SEQUENCE_MILLISECONDS;
  const keys = follows ? `${begun} ${event.key}` : event.key;
  begun = "";
  if (press(keys)) event.preventDefault();
  else if (hotkeys().some((one) => keysOf(one).some((some) => some.startsWith(`${keys} `)))) {
    begun = keys;
    begunAt = event.timeStamp;
  }
});

// The list of keys is made of what is on the page; the link to it leads to the list of all.
function labelOf(element) {
  if (element.dataset.hotkeyLabel ?? element.ariaLabel) return element.dataset.hotkeyLabel ?? element.ariaLabel;
  const copy = element.cloneNode(true);
  for (const extra of copy.querySelectorAll("kbd, .count")) extra.remove();
  return copy.textContent.trim() || element.placeholder;
}

function make(name, ...children) {
  const element = document.createElement(name);
  element.append(...children);
  return element;
}

function listHotkeys(dialog) {
  const rows = new Map();
  for (const element of hotkeys()) rows.set(element.dataset.hotkey, labelOf(element));
  for (const item of document.querySelectorAll("[data-hotkeys-heard] > li")) rows.set(item.dataset.keys, item.textContent);
  dialog.querySelector("dl").replaceChildren(
    ...[...rows].flatMap(([keys, label]) => {
      const pressed = keys.split(", ").flatMap((one, at) => [at ? " or " : "", ...one.split(" ").map((key) => make("kbd", key))]);
      return [make("dt", ...pressed), make("dd", label)];
    }),
  );
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  const list = event.target instanceof Element && event.target.closest("[data-hotkey='?']");
  if (!list || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  listHotkeys(document.getElementById("hotkeys"));
});

// Where the tabs do not fit side by side, the open one may stand beyond the edge.
for (const open of document.querySelectorAll(".tabs [aria-current]")) {
  const strip = open.closest(".tabs");
  const from = open.getBoundingClientRect().left - strip.getBoundingClientRect().left + strip.scrollLeft;
  strip.scrollLeft = from - (strip.clientWidth - open.offsetWidth) / 2;
}

// Fragments: htmx is loaded where a page has some. What it puts in is markup only: a script that came with it would be
// trusted by the content policy, because a trusted script put it there.
document.addEventListener("htmx:before:swap", (event) => {
  for (const task of event.detail.tasks) for (const script of task.fragment.querySelectorAll("script")) script.remove();
});
// A part that looks again until something is done: once the page at its address has it no more, that page is shown.
document.addEventListener("htmx:before:swap", (event) => {
  if (!event.detail.ctx.sourceElement.matches("[data-looks-again]")) return;
  if (event.detail.tasks.some((task) => task.fragment.childElementCount)) return;
  event.preventDefault();
  location.reload();
});
document.addEventListener("htmx:after:swap", refreshTimes);
document.addEventListener("htmx:finally:request", ({ detail }) => detail.ctx.sourceElement.removeAttribute("aria-busy"));

const fragments = document.querySelectorAll("[hx-get], [hx-post]");
if (fragments.length) {
  try {
    await import(document.querySelector("script[data-htmx]").dataset.htmx);
  } catch {
    // The links that stand there for browsers without script do it.
    root.classList.add("without-fragments");
    for (const part of fragments) part.removeAttribute("aria-busy");
  }
}
