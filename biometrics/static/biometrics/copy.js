// A button with data-copy="id" puts that element's text on the clipboard and says so.
"use strict";

document.addEventListener("click", function (event) {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy).textContent;
  navigator.clipboard.writeText(text).then(
    function () { button.textContent = "Copied"; },
    function () { button.textContent = "Select the text and copy it"; },
  );
});
