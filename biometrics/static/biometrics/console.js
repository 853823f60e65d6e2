// What the theme gives to the mouse alone, for the keyboard and for those who listen:
// whatever is clicked is reached by Tab, has a role and a name, and obeys Enter and Space;
// the names of icons are not read out.
"use strict";

(function () {
  const NATIVE = "a[href], button, input, select, textarea, summary";
  const INSIDE = `${NATIVE}, [tabindex], [x-on\\:click]`;
  const NAMES = {
    close: "Close",
    dark_mode: "Theme",
    dock_to_right: "Sidebar",
    light_mode: "Theme",
    menu: "Menu",
    more_horiz: "More",
    more_vert: "More",
    visibility: "Show the password",
    visibility_off: "Hide the password",
  };

  function iconsOf(one) {
    return one.matches(".material-symbols-outlined")
      ? [one]
      : [...one.querySelectorAll(".material-symbols-outlined")];
  }

  // The text that is there for people, not the names of icons.
  function wordsOf(one) {
    if (one.matches(".material-symbols-outlined")) return "";
    const copy = one.cloneNode(true);
    for (const icon of copy.querySelectorAll(".material-symbols-outlined")) icon.remove();
    return copy.textContent.trim();
  }

  function name(one) {
    if (one.getAttribute("aria-label") || one.title || wordsOf(one)) return;
    if (one.id === "changelist-filter-close") {
      one.setAttribute("aria-label", "Close the filters");
      return;
    }
    const icon = iconsOf(one)[0];
    const said = icon ? icon.textContent.trim() : "";
    if (said) one.setAttribute("aria-label", NAMES[said] || said.replaceAll("_", " "));
  }

  function reach(one) {
    if (one.matches(NATIVE) || one.matches("td") || one.dataset.reached) return;
    if (one.querySelector(INSIDE)) return;
    one.dataset.reached = "yes";
    one.tabIndex = 0;
    one.setAttribute("role", "button");
    if (one.title && !one.getAttribute("aria-label")) {
      one.setAttribute("aria-label", one.title);
    }
    name(one);
  }

  // The box in which one types to find a group has no name of its own.
  function nameSearch(box) {
    if (box.getAttribute("aria-label")) return;
    const select = box.closest(".select2-container")?.previousElementSibling;
    const label = select?.labels?.[0];
    box.setAttribute("aria-label", label ? label.textContent.trim() : "Find");
  }

  function improve() {
    for (const one of document.querySelectorAll("[x-on\\:click]")) reach(one);
    for (const one of document.querySelectorAll("a[href], button")) name(one);
    for (const icon of document.querySelectorAll(".material-symbols-outlined")) {
      if (!icon.dataset.reached) icon.setAttribute("aria-hidden", "true");
    }
    for (const box of document.querySelectorAll(".select2-search__field")) nameSearch(box);
    document.getElementById("content")?.setAttribute("role", "main");
  }

  document.addEventListener("keydown", function (event) {
    if (event.key !== "Enter" && event.key !== " ") return;
    if (!event.target.dataset || !event.target.dataset.reached) return;
    event.preventDefault();
    event.target.click();
  });

  let isAsked = false;
  function later() {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(function () {
      isAsked = false;
      improve();
    });
  }

  document.addEventListener("DOMContentLoaded", function () {
    improve();
    new MutationObserver(later).observe(document.body, { childList: true, subtree: true });
  });
})();
