// A button with data-copy="id" puts that element's text on the clipboard and says so.
// Browsers give no clipboard to a page that came by plain HTTP from another machine.
"use strict";

document.addEventListener("click", async function (event) {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const place = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(place.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(place);
    button.textContent = "Press Ctrl+C: the text is selected";
  }
});
