// What changed: further files as they come into sight, hidden lines in place, a filter, the keyboard. Every address that
// is asked for here stands in the page, beside one that needs no script.

const changes = document.getElementById("changes");

async function fragment(address) {
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  if (!answer.ok) throw new Error(answer.statusText);
  const holder = document.createElement("template");
  holder.innerHTML = await answer.text();
  return holder.content;
}

// One request at a time for each thing; what fails stays a link.
async function put(part, address, place) {
  if (part.hasAttribute("aria-busy")) return;
  part.setAttribute("aria-busy", "true");
  try {
    place(await fragment(address));
    look();
  } catch {
    part.removeAttribute("aria-busy");
  }
}

const showGap = (link) => {
  const gap = link.closest("tbody");
  const heading = gap.querySelector(".diff-heading").textContent;
  return put(gap, link.dataset.part, (found) => {
    const parts = [...found.querySelectorAll("tbody")];
    const left = parts.findLast((part) => part.classList.contains("diff-gap"))?.querySelector(".diff-heading");
    if (left && !left.textContent) left.textContent = heading;
    gap.replaceWith(...parts);
    parts.find((part) => !part.classList.contains("diff-gap"))?.querySelector("a")?.focus({ preventScroll: true });
  });
};

const loadFile = (link) => {
  const file = link.closest(".diff-file");
  return put(link, link.dataset.load, (found) => {
    const loaded = found.querySelector(".diff-file");
    file.replaceWith(loaded);
    loaded.querySelector("summary").focus({ preventScroll: true });
  });
};

const showFurther = (link) => {
  const note = link.closest(".diff-further");
  return put(link, link.dataset.further, (found) => {
    const table = note.closest(".diff-body").querySelector(".diff");
    table.append(...found.querySelectorAll(".diff > tbody"));
    const next = found.querySelector(".diff-further");
    if (next) note.replaceWith(next);
    else note.remove();
  });
};

const showMore = (link) => {
  const more = link.closest(".changes-more");
  return put(more, link.dataset.more, (found) => more.replaceWith(found));
};

const showList = (link) => put(link, link.dataset.list, (found) => link.closest(".changes-side").replaceChildren(found));

changes?.addEventListener("click", (event) => {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  const link = event.target.closest("a");
  const way =
    link &&
    ((link.dataset.grow && showGap) ||
      (link.dataset.load && loadFile) ||
      (link.dataset.further && showFurther) ||
      (link.dataset.more && showMore));
  if (!way) return;
  event.preventDefault();
  way(link);
});

// A file that is unfolded gets its lines.
changes?.addEventListener(
  "toggle",
  (event) => {
    const load = event.target.open && event.target.classList.contains("diff-fold") && event.target.querySelector("[data-load]");
    if (load) loadFile(load);
  },
  true,
);

// Further files come before their place is reached.
const ahead = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) if (entry.isIntersecting) showMore(entry.target.querySelector("[data-more]"));
  },
  { rootMargin: "1200px" },
);
// The list says which file is being read.
const reading = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      const link = changes.querySelector(`.changes-file-link[href$="#${entry.target.id}"]`);
      if (!link) continue;
      changes.querySelector(".changes-file-link[aria-current]")?.removeAttribute("aria-current");
      link.setAttribute("aria-current", "true");
      link.scrollIntoView({ block: "nearest" });
    }
  },
  { rootMargin: "-10% 0px -80% 0px" },
);

function look() {
  for (const more of changes.querySelectorAll(".changes-more:has([data-more])")) ahead.observe(more);
  for (const file of changes.querySelectorAll(".diff-file")) reading.observe(file);
  for (const pair of changes.querySelectorAll(".picture-pair.is-pair:not([data-way])")) comparePictures(pair);
}

// Two pictures: beside each other, one uncovered by the other, one fading into the other.
function comparePictures(pair) {
  pair.dataset.way = "side";
  const ways = document.createElement("div");
  ways.className = "picture-ways";
  ways.setAttribute("role", "group");
  ways.setAttribute("aria-label", "How to compare");
  const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 100, value: 50 });
  slider.className = "picture-slider";
  slider.setAttribute("aria-label", "How much of the new picture is shown");
  slider.addEventListener("input", () => pair.style.setProperty("--shown", slider.value / 100));
  for (const [way, word] of [["side", "Side by side"], ["swipe", "Swipe"], ["fade", "Onion skin"]]) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: word });
    button.setAttribute("aria-pressed", String(way === "side"));
    button.addEventListener("click", () => {
      pair.dataset.way = way;
      for (const other of ways.children) other.setAttribute("aria-pressed", String(other === button));
    });
    ways.append(button);
  }
  pair.prepend(ways, slider);
}

// The filter hides what does not have all its words in the path.
changes?.addEventListener("input", (event) => {
  if (event.target.id !== "changes-filter") return;
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  const tree = event.target.closest(".changes-tree");
  for (const item of tree.querySelectorAll(".changes-leaf")) {
    const path = item.dataset.path ?? (item.dataset.path = pathOf(item, tree));
    item.hidden = !words.every((word) => path.includes(word));
  }
  for (const folder of [...tree.querySelectorAll("li:not(.changes-leaf)")].reverse()) {
    folder.hidden = !folder.querySelector(":scope > details > ul > li:not([hidden])");
    if (words.length) folder.firstElementChild.open = true;
  }
});

function pathOf(item, tree) {
  const names = [item.textContent.slice(1)];
  for (let folder = item.parentElement.closest("details"); folder && tree.contains(folder); folder = folder.parentElement.closest("details"))
    names.unshift(folder.querySelector("summary").textContent.trim());
  return names.join("/").toLowerCase();
}

// j and k go from file to file, n and p from change to change; app.js hears the keys and knows when not to.
const stops = { j: [".diff-file", 1], k: [".diff-file", -1], n: [".diff-change", 1], p: [".diff-change", -1] };

document.addEventListener("hotkey", (event) => {
  const stop = changes && stops[event.detail];
  if (!stop) return;
  const [kind, step] = stop;
  const all = [...changes.querySelectorAll(kind)].filter((one) => one.checkVisibility());
  const top = (one) => Math.round(one.getBoundingClientRect().top);
  const here = kind === ".diff-file" ? 16 : 120;
  const next = step > 0 ? all.find((one) => top(one) > here) : all.findLast((one) => top(one) < here - 4);
  if (!next) return;
  event.preventDefault();
  go(next, here - 4);
});

function go(target, offset) {
  changes.querySelector(".is-current")?.classList.remove("is-current");
  const file = target.closest(".diff-file");
  file.classList.add("is-current");
  window.scrollTo({ top: window.scrollY + target.getBoundingClientRect().top - offset });
  const stop = target === file ? file.querySelector("summary") : target.querySelector(".diff-number a");
  stop?.focus({ preventScroll: true });
}

// A link to a file or a line that is not on this page yet leads to the part that has it.
async function findTarget() {
  const found = /^#(diff-([0-9a-f]{12}))(?:[LR]\d+)?$/.exec(location.hash);
  if (!found || !changes || document.getElementById(location.hash.slice(1))) return;
  const section = document.getElementById(found[1]);
  const fold = section?.querySelector("[data-load]");
  if (fold) {
    await loadFile(fold);
    document.getElementById(location.hash.slice(1))?.scrollIntoView();
  } else if (!section && !changes.dataset.one) {
    const list = changes.querySelector("[data-list]");
    if (list) await showList(list);
    const link = changes.querySelector(`.changes-file-link[href$="#${found[1]}"]`);
    if (link && !link.getAttribute("href").startsWith("#")) location.replace(link.href.split("#")[0] + location.hash);
  }
}

if (changes) {
  const list = changes.querySelector("[data-list]");
  look();
  addEventListener("hashchange", findTarget);
  await findTarget();
  if (list?.isConnected) showList(list);
}
