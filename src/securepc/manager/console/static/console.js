// Comfort only: every page works without this file.
"use strict";

// "Copy" beside a command or a key.
function prepare(root) {
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.hidden = false;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = label; }, 2000);
  } catch {
    // No clipboard (plain HTTP): select it, so that Ctrl+C copies.
    getSelection().selectAllChildren(code);
  }
});

// A form that changes the list at once when a choice is made; its button does the same.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-at-once]");
  if (form) form.requestSubmit();
});

document.addEventListener("htmx:after:swap", () => prepare(document));
prepare(document);
