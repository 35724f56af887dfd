// A form that edits a text, a file's or a wiki page's: CodeMirror in place of the text field, views that change without
// leaving, and drafts. The text field stays what is sent; without this file, or without the library, it is the editor.
// What the form has is marked: [data-editor] around the field, [data-edit-name] the field that names it, and where the
// name does not end in what it is written in, [data-edit-ending] the choice of that.

const form = document.querySelector("[data-edit]");
const area = form.querySelector("[data-editor] textarea");
const nameField = form.querySelector("[data-edit-name]");
const endingField = form.querySelector("[data-edit-ending]");
const draftField = form.querySelector("[name=draft]");
const DRAFT_PREFIX = "cairn_draft:";
const DRAFT_DAYS = 30;
const DRAFTS_MAX = 20;
const SAVE_MILLISECONDS = 400;

let editor = null;
const textNow = () => (editor ? editor.state.doc.toString() : area.value);
const began = { text: area.value, path: nameField.value };

// Drafts: what is typed is kept in this browser, by the file and the commit it was opened at, until it is committed.
const draftKey = `${DRAFT_PREFIX}${form.dataset.from}@${form.dataset.head}`;

function stored(action, fallback = null) {
  try {
    return action(localStorage) ?? fallback;
  } catch {
    return fallback; // Nothing is kept where a browser keeps nothing.
  }
}

const draftKeys = () => stored((kept) => Object.keys(kept).filter((key) => key.startsWith(DRAFT_PREFIX)), []);
const readDraft = (key) => stored((kept) => JSON.parse(kept.getItem(key)));
const dropDraft = (key) => stored((kept) => kept.removeItem(key));

function letGoOfDone() {
  const found = /(?:^|; )cairn_drafts_done=([^;]*)/.exec(document.cookie);
  const done = new Set(found ? found[1].replaceAll('"', "").split(".") : []);
  if (found) document.cookie = "cairn_drafts_done=; Path=/; Max-Age=0; SameSite=Lax";
  const old = Date.now() - DRAFT_DAYS * 86_400_000;
  const left = draftKeys().map((key) => [key, readDraft(key)]).sort((a, b) => (b[1]?.at ?? 0) - (a[1]?.at ?? 0));
  left.forEach(([key, draft], place) => {
    if (!draft || done.has(draft.id) || draft.at < old || place >= DRAFTS_MAX) dropDraft(key);
  });
}

function saveDraft() {
  if (textNow() === began.text && nameField.value === began.path && !form.hasAttribute("data-returned")) {
    if (readDraft(draftKey)?.id === draftField.value) dropDraft(draftKey);
    return;
  }
  const draft = { id: draftField.value, at: Date.now(), text: textNow(), path: nameField.value };
  stored((kept) => kept.setItem(draftKey, JSON.stringify(draft)));
}

let saving = 0;
function changed() {
  clearTimeout(saving);
  saving = setTimeout(saveDraft, SAVE_MILLISECONDS);
}

function setText(text) {
  if (editor) editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
  else area.value = text;
}

function offerDraft() {
  const draft = readDraft(draftKey);
  const box = form.querySelector("[data-draft]");
  const isSame = draft && draft.text === textNow() && draft.path === nameField.value;
  if (!draft || isSame || form.hasAttribute("data-returned")) return;
  box.querySelector("[data-draft-when]").textContent = `at ${new Date(draft.at).toLocaleString()}`;
  box.hidden = false;
  box.querySelector("[data-draft-take]").addEventListener("click", () => {
    setText(draft.text);
    nameField.value = draft.path;
    draftField.value = draft.id;
    box.hidden = true;
    (editor ?? area).focus();
  });
  box.querySelector("[data-draft-drop]").addEventListener("click", () => {
    dropDraft(draftKey);
    box.hidden = true;
    (editor ?? area).focus();
  });
}

letGoOfDone();
if (!draftField.value) draftField.value = crypto.getRandomValues(new Uint32Array(2)).reduce((text, part) => text + part.toString(36), "");
area.addEventListener("input", changed);
nameField.addEventListener("input", changed);
addEventListener("pagehide", saveDraft);

// Enter in a field of one line does what the page is for, not what its first button does.
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("input:not([type=radio], [type=checkbox])")) return;
  event.preventDefault();
  if (event.target !== nameField) form.querySelector("[data-commit]").click();
});

// Views: the same answer that a browser without script gets, of which the preview is taken.
const views = [...form.querySelectorAll("[data-view]")];
const preview = form.querySelector("[data-preview]");
const text = form.querySelector("[data-editor]");

function choose(view) {
  for (const one of views) one.setAttribute("aria-pressed", String(one.dataset.view === view));
  text.hidden = view !== "edit";
  preview.hidden = view === "edit";
}

async function show(button) {
  writeBack();
  const fields = new FormData(form);
  fields.set(button.name, button.value);
  preview.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(fields) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.querySelector("[data-preview]");
    const said = page.querySelector("[data-edit] .alert:not([hidden]), [data-edit] .problem");
    if (!found) throw new Error("no preview");
    for (const script of found.querySelectorAll("script")) script.remove();
    preview.replaceChildren(...(found.textContent.trim() || found.querySelector("img, iframe") ? found.childNodes : [noteOf(said)]));
    choose(button.dataset.view);
  } catch {
    form.requestSubmit(button);
  } finally {
    preview.removeAttribute("aria-busy");
  }
}

function noteOf(said) {
  return Object.assign(document.createElement("p"), { className: "card-note", textContent: said?.textContent.trim() || "There is nothing to show." });
}

for (const button of views) {
  button.addEventListener("click", (event) => {
    if (button.dataset.view !== "edit" && (event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (button.dataset.view === "edit") {
      choose("edit");
      (editor ?? area).focus();
    } else show(button);
  });
}
if (preview.textContent.trim()) preview.hidden = false;

function writeBack() {
  if (editor) area.value = editor.state.doc.toString();
}

let isSent = false;
form.addEventListener("submit", () => {
  writeBack();
  saveDraft();
  isSent = true;
});
addEventListener("beforeunload", (event) => {
  if (!isSent && !stored(() => true, false) && textNow() !== began.text) event.preventDefault();
});

// Indentation as the file has it: tabs, or as many blanks as most lines differ by.
function indentOf(source) {
  const counts = new Map();
  let before = 0;
  for (const line of source.split("\n", 2000)) {
    const found = /^([ \t]*)\S/.exec(line);
    if (!found) continue;
    if (found[1].startsWith("\t")) counts.set("\t", (counts.get("\t") ?? 0) + 1);
    else {
      const step = Math.abs(found[1].length - before);
      if (step > 1 && step < 9) counts.set(" ".repeat(step), (counts.get(" ".repeat(step)) ?? 0) + 1);
      before = found[1].length;
    }
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}

const USUAL_INDENTS = { makefile: "\t", go: "\t", py: "    ", rs: "    ", java: "    ", c: "    ", cpp: "    " };
const fileName = () => (endingField ? `page.${endingField.value}` : nameField.value.split("/").pop());
const endingOf = (path) => path.split("/").pop().toLowerCase().split(".").pop();

async function begin(cm) {
  const { EditorView, EditorState, Compartment, keymap, tags } = cm;
  const language = new Compartment();
  const colours = cm.tagHighlighter([
    { tag: [tags.comment, tags.meta], class: "hl-c" },
    { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], class: "hl-k" },
    { tag: [tags.string, tags.regexp, tags.special(tags.string)], class: "hl-s" },
    { tag: [tags.number, tags.bool, tags.null, tags.atom], class: "hl-n" },
    { tag: [tags.function(tags.variableName), tags.function(tags.propertyName), tags.definition(tags.function(tags.variableName))], class: "hl-f" },
    { tag: [tags.typeName, tags.className, tags.tagName, tags.namespace], class: "hl-t" },
    { tag: [tags.standard(tags.name), tags.self, tags.labelName], class: "hl-b" },
    { tag: [tags.macroName, tags.processingInstruction, tags.annotation], class: "hl-m" },
    { tag: [tags.attributeName, tags.propertyName], class: "hl-v" },
    { tag: tags.heading, class: "hl-gs hl-k" },
    { tag: tags.emphasis, class: "hl-ge" },
    { tag: tags.strong, class: "hl-gs" },
    { tag: [tags.link, tags.url], class: "hl-f" },
    { tag: tags.inserted, class: "hl-gi" },
    { tag: tags.deleted, class: "hl-gd" },
  ]);
  const ending = endingOf(fileName());
  const described = area.getAttribute("aria-describedby");
  const problem = document.getElementById(`${area.id}-problem`);
  editor = new EditorView({
    parent: text,
    state: EditorState.create({
      doc: area.value,
      extensions: [
        EditorView.cspNonce.of(form.dataset.styleNonce),
        cm.lineNumbers(),
        cm.highlightActiveLineGutter(),
        cm.highlightSpecialChars(),
        cm.history(),
        cm.drawSelection(),
        cm.dropCursor(),
        EditorState.allowMultipleSelections.of(true),
        EditorState.lineSeparator.of("\n"),
        cm.indentOnInput(),
        cm.indentUnit.of(indentOf(area.value) ?? USUAL_INDENTS[ending] ?? "  "),
        cm.syntaxHighlighting(colours),
        cm.bracketMatching(),
        cm.closeBrackets(),
        cm.rectangularSelection(),
        cm.highlightActiveLine(),
        cm.highlightSelectionMatches(),
        cm.search({ top: true }),
        keymap.of([...cm.closeBracketsKeymap, ...cm.defaultKeymap, ...cm.searchKeymap, ...cm.historyKeymap, cm.indentWithTab]),
        EditorView.contentAttributes.of({
          "aria-label": text.querySelector("label").textContent.trim(),
          ...(described && { "aria-describedby": described }),
          spellcheck: String(area.spellcheck),
          "aria-multiline": "true",
          tabindex: "0", // as it is anyway: for checkers, which count no editable text
          ...(problem && { "aria-invalid": "true" }),
        }),
        EditorView.updateListener.of((update) => update.docChanged && changed()),
        language.of([]),
        // Prose is written in lines as long as paragraphs.
        ...(area.wrap === "off" ? [] : [EditorView.lineWrapping]),
      ],
    }),
  });
  // Between the page and this moment the browser may not have come to focus it.
  const hadFocus = document.activeElement === area || (area.autofocus && document.activeElement === document.body);
  area.hidden = true;
  area.removeAttribute("autofocus");
  text.classList.add("has-editor");
  text.querySelector("label").htmlFor = "";
  for (const one of form.querySelectorAll(".needs-editor")) one.hidden = false;
  if (hadFocus) editor.focus();

  let loaded = "";
  async function speak() {
    const found = cm.LanguageDescription.matchFilename(cm.languages, fileName());
    if ((found?.name ?? "") === loaded) return;
    loaded = found?.name ?? "";
    const support = found ? await found.load() : [];
    if (loaded === (found?.name ?? "")) editor.dispatch({ effects: language.reconfigure(support) });
  }
  (endingField ?? nameField).addEventListener("change", speak);
  await speak();
}

if (form.dataset.library) {
  try {
    await begin(await import(form.dataset.library));
  } catch (error) {
    if (!editor) area.hidden = false;
    console.warn("The text field stays the editor:", error);
  }
}
offerDraft();
if (form.hasAttribute("data-returned")) saveDraft();
form.dataset.ready = "";
