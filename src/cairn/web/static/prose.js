// Rendered texts: reading works without this file. With it code can be copied, what is wider than the page can be
// scrolled by keys, links made elsewhere find their headings, pictures follow the chosen theme, diagrams are drawn.

const prefix = "user-content-";

// A text's ids carry a prefix, links that people wrote do not.
function find() {
  const name = decodeURIComponent(location.hash.slice(1));
  if (name && !document.getElementById(name)) {
    const heading = document.getElementById(prefix + name) ?? document.getElementById(prefix + name.toLowerCase());
    heading?.scrollIntoView();
  }
}
addEventListener("hashchange", find);

function addCopyButton(block) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy-code";
  button.setAttribute("aria-label", "Copy this code");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(block.querySelector("pre").textContent);
    } catch {
      getSelection().selectAllChildren(block.querySelector("pre"));
      if (!document.execCommand("copy")) return;
      getSelection().removeAllRanges();
    }
    button.classList.add("is-copied");
    setTimeout(() => button.classList.remove("is-copied"), 1600);
  });
  block.append(button);
}

// What scrolls by itself must be reachable without a mouse.
function markScrolling() {
  for (const box of document.querySelectorAll(".prose .table-scroll, .prose .code-block > pre")) {
    const scrolls = box.scrollWidth > box.clientWidth;
    box.toggleAttribute("tabindex", scrolls);
    if (scrolls) {
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", box.matches("pre") ? "Code" : "Table");
    } else {
      box.removeAttribute("role");
      box.removeAttribute("aria-label");
    }
  }
}

// A text chooses pictures by the system's theme; here people may have chosen another one.
function followTheme() {
  const theme = document.documentElement.dataset.theme;
  for (const source of document.querySelectorAll(".prose picture > source[media]")) {
    source.dataset.media ??= source.media;
    const wanted = /^\(prefers-color-scheme:\s*(dark|light)\)$/.exec(source.dataset.media)?.[1];
    if (wanted) source.media = !theme ? source.dataset.media : theme === wanted ? "all" : "not all";
  }
}

// A diagram is drawn in a frame that has no origin and sees nothing of this page; it is told its text and the colours.
function isDark() {
  return matchMedia("(prefers-color-scheme: dark)").matches ? document.documentElement.dataset.theme !== "light" : document.documentElement.dataset.theme === "dark";
}

const drawn = new Map();

function draw(diagram, address) {
  const source = diagram.querySelector("code").textContent;
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.title = "Diagram";
  frame.src = address;
  frame.className = "diagram-frame";
  drawn.set(frame, { diagram, source });
  diagram.append(frame);
}

addEventListener("message", (event) => {
  for (const [frame, { diagram, source }] of drawn) {
    if (event.source !== frame.contentWindow) continue;
    const said = event.data ?? {};
    if (said.is === "ready") frame.contentWindow.postMessage({ source, dark: isDark() }, "*");
    if (said.is === "drawn" && said.height > 0 && said.height <= 5000) {
      frame.style.height = `${Math.ceil(said.height)}px`;
      diagram.classList.add("is-drawn");
    }
    if (said.is === "failed") {
      drawn.delete(frame);
      frame.remove();
      diagram.classList.add("is-wrong");
    }
  }
});

for (const block of document.querySelectorAll(".prose .code-block")) addCopyButton(block);
for (const prose of document.querySelectorAll(".prose[data-diagrams]")) {
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target, prose.dataset.diagrams);
    }
  }, { rootMargin: "400px" });
  for (const diagram of prose.querySelectorAll(".diagram")) seen.observe(diagram);
}
find();
followTheme();
markScrolling();
addEventListener("resize", markScrolling);
new MutationObserver(() => {
  followTheme();
  for (const [frame, { source }] of drawn) frame.contentWindow.postMessage({ source, dark: isDark() }, "*");
}).observe(document.documentElement, { attributeFilter: ["data-theme"] });
