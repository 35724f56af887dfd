// The page that uploads: files and whole folders that are dropped, a list of them, and how far they are. Without this
// file its field takes files one folder at a time.

const form = document.querySelector("[data-upload]");
const input = form.querySelector("input[type=file]");
const zone = form.querySelector("[data-drop]");
const list = form.querySelector("[data-list]");
const sum = form.querySelector("[data-sum]");
const problem = form.querySelector("[data-upload-problem]");
const progress = form.querySelector("[data-progress]");
const most = { files: Number(form.dataset.filesMax), bytes: Number(form.dataset.bytesMax), each: Number(form.dataset.fileBytesMax) };
const chosen = new Map();

const unit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
function sizeOf(bytes) {
  const step = bytes < 1024 ? 0 : bytes < 1024 ** 2 ? 1 : 2;
  return `${unit.format(bytes / 1024 ** step)} ${["B", "KiB", "MiB"][step]}`;
}

function tell(words) {
  problem.hidden = !words;
  problem.querySelector("div").textContent = words;
}

function wrongWith() {
  const files = [...chosen.values()];
  const large = [...chosen].find(([, file]) => file.size > most.each);
  if (files.length > most.files) return `${files.length} files are more than the ${most.files} of one upload. Take some out.`;
  if (large) return `${large[0]} has ${sizeOf(large[1].size)}, more than one file may have.`;
  const total = files.reduce((bytes, file) => bytes + file.size, 0);
  return total > most.bytes ? `The files have ${sizeOf(total)} together, more than ${sizeOf(most.bytes)}. Take some out.` : "";
}

function draw() {
  list.replaceChildren(
    ...[...chosen].map(([path, file]) => {
      const row = Object.assign(document.createElement("li"), { className: "list-row" });
      const name = Object.assign(document.createElement("span"), { className: "list-main mono", textContent: path });
      const size = Object.assign(document.createElement("span"), { className: "muted small", textContent: sizeOf(file.size) });
      const out = Object.assign(document.createElement("button"), { type: "button", className: "button button-small button-quiet", textContent: "Take out", ariaLabel: `Take out ${path}` });
      out.addEventListener("click", () => {
        chosen.delete(path);
        draw();
        (list.querySelector("button") ?? input).focus();
      });
      const end = Object.assign(document.createElement("span"), { className: "list-end" });
      end.append(size, out);
      row.append(name, end);
      return row;
    }),
  );
  const total = [...chosen.values()].reduce((bytes, file) => bytes + file.size, 0);
  list.hidden = sum.hidden = !chosen.size;
  sum.textContent = `${chosen.size} ${chosen.size === 1 ? "file" : "files"}, ${sizeOf(total)}`;
  tell(wrongWith());
}

function add(path, file) {
  if (chosen.size <= most.files) chosen.set(path, file);
}

input.addEventListener("change", () => {
  for (const file of input.files) add(file.webkitRelativePath || file.name, file);
  input.value = "";
  draw();
});

// A folder that is dropped tells its entries some at a time, until it tells none.
async function walk(entry) {
  if (chosen.size > most.files) return;
  const path = entry.fullPath.replace(/^\//, "");
  if (entry.isFile) add(path, await new Promise((resolve, reject) => entry.file(resolve, reject)));
  else {
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const one of some) await walk(one);
    }
  }
}

for (const kind of ["dragenter", "dragover"]) {
  zone.addEventListener(kind, (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    zone.classList.add("is-over");
  });
}
zone.addEventListener("dragleave", (event) => zone.contains(event.relatedTarget) || zone.classList.remove("is-over"));
zone.addEventListener("drop", async (event) => {
  event.preventDefault();
  zone.classList.remove("is-over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length) for (const entry of entries) await walk(entry);
  else for (const file of event.dataTransfer.files) add(file.name, file);
  draw();
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const wrong = chosen.size ? wrongWith() : "Choose at least one file.";
  tell(wrong);
  if (wrong) {
    problem.scrollIntoView({ block: "nearest" });
    return;
  }
  const fields = new FormData(form);
  fields.delete("files");
  for (const [path, file] of chosen) fields.append("files", file, path);
  send(fields);
});

// Not fetch: it does not tell how far an upload is.
function send(fields) {
  const request = new XMLHttpRequest();
  const button = form.querySelector("[type=submit]");
  const end = (words) => {
    button.disabled = false;
    progress.hidden = true;
    tell(words);
    if (words) problem.scrollIntoView({ block: "nearest" });
  };
  button.disabled = true;
  progress.hidden = false;
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    progress.value = total ? loaded / total : 0;
  });
  request.addEventListener("error", () => end("The upload broke off. The files are still chosen: try again."));
  request.addEventListener("load", () => {
    if (request.status < 400) {
      location.assign(request.responseURL);
      return;
    }
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    const said = page.querySelectorAll("main .alert:not([hidden]) > div, main .problem, main .error-page .lead");
    end([...said].map((one) => one.textContent.trim()).join(" ") || `The server answered ${request.status}.`);
    const fresh = page.querySelector("[name=csrf_token]");
    if (fresh) form.querySelector("[name=csrf_token]").value = fresh.value;
  });
  request.open("POST", form.action);
  request.send(fields);
}

form.dataset.ready = "";
