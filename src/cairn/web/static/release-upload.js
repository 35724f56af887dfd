// Shows how far an upload is. Without it the form is sent all the same.
const form = document.querySelector("[data-release-upload]");
const bar = form?.querySelector(".release-progress");
const said = form?.querySelector(".release-said");
const button = form?.querySelector("button[type=submit]");

const finish = (text) => {
  bar.hidden = true;
  button.disabled = false;
  said.textContent = text;
};

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.upload.addEventListener("progress", (progress) => {
    if (!progress.lengthComputable) return;
    const percent = Math.floor((100 * progress.loaded) / progress.total);
    bar.value = percent;
    said.textContent = percent < 100 ? `${percent} % sent` : "Sent; the server puts it away.";
  });
  request.addEventListener("load", () => {
    // The server led back to this page; what it says stands on top of it.
    if (request.status < 400) window.location.reload();
    else finish(`The files were not added (${request.status}). Try again.`);
  });
  request.addEventListener("error", () => finish("The connection broke off. Nothing was added; try again."));
  bar.hidden = false;
  button.disabled = true;
  request.send(new FormData(form));
});
